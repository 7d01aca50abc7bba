"""The form in JupyterLab: filled in by keyboard, run, stopped and resumed; bad input, both themes."""

from .lab import DARK, LIGHT, expect

CELLS = [
    "from sdlab import Request, sweep\nfrom sdlab.widgets import SweepForm",
    "form = SweepForm(store='runs/form')\nform",
]


def type_into(form, label, text):
    """Replaces what a field holds, and leaves it."""
    field = form.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")


def test_a_sweep_is_typed_run_stopped_and_finished(notebook):
    nb = notebook(CELLS)
    nb.run_all()
    form = nb.output(1).locator(".sdl-form")
    run, stop = (
        form.get_by_role("button", name="Run", exact=True),
        form.locator(".sdl-run").get_by_role("button", name="Stop"),
    )
    pictures = form.locator(".sdl-cell img")
    for label, text in {
        "prompt": "a red circle",
        "seed": "0-15",
        "guidance_scale": "1-7 (+3)",
        "num_inference_steps": "50",
    }.items():
        type_into(form, label, text)
    expect(form.get_by_text("48 pictures: 0 finished")).to_be_visible(timeout=60_000)
    assert nb.axe(form) == []
    run.press("Enter")
    expect(pictures.first).to_be_visible(timeout=60_000)  # a sketch
    expect(run).to_be_disabled()
    expect(stop).to_be_focused()
    expect(form.get_by_role("button", name="Stop")).to_have_count(1)
    nb.expect_kernel("form.job.progress.rendered > 0", True, seconds=60)
    stop.press("Enter")
    expect(run).to_be_enabled(timeout=60_000)
    expect(run).to_be_focused()
    nb.expect_kernel(
        "[form.job.state, form.job.frame()['path'].isna().any().item()]", ["stopped", True]
    )

    expect(form.get_by_text(" to render on tiny-v1")).to_be_visible()
    run.press("Enter")
    expect(form.get_by_text("48 pictures, all finished")).to_be_visible(timeout=120_000)
    nb.expect_kernel(
        "[form.job.state, form.job.progress.todo < 48, form.results['path'].notna().all().item()]",
        ["done", True, True],
    )
    expect(form.locator(".sdl-cell[data-i='0'] img")).to_be_visible()
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        assert nb.axe(form) == []
    nb.reopen()
    expect(nb.output(1).get_by_role("img")).to_have_count(48)
    expect(nb.output(1)).to_contain_text("a red circle")
    assert nb.errors == []


def test_bad_input_is_told_at_its_field_and_keys_stay_in_the_form(notebook):
    nb = notebook(
        [
            CELLS[0],
            "form = SweepForm(sweep(Request(prompt='a {red|blue} cat'), seed='0-3'), 'runs/form')\nform",
        ]
    )
    nb.run_all()
    form = nb.output(1).locator(".sdl-form")
    seed, alert = form.get_by_label("seed", exact=True), form.get_by_role("alert")
    expect(form.get_by_text("8 pictures: 0 finished")).to_be_visible(timeout=60_000)
    type_into(form, "seed", "0-")
    expect(alert).to_contain_text("neither a number nor a range")
    expect(seed).to_have_attribute("aria-invalid", "true")
    assert (
        nb.page.locator(f"[id='{seed.get_attribute('aria-describedby')}']").inner_text()
        == alert.inner_text()
    )
    expect(form.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    assert nb.axe(form) == []
    type_into(form, "seed", "0-1")
    expect(alert).to_have_count(0)
    expect(seed).to_have_attribute("aria-invalid", "false")
    more = form.get_by_role("button", name="More settings")
    expect(form.get_by_label("eta")).to_be_hidden()
    for control in (form.get_by_label("scheduler"), form.get_by_label("rows"), more):
        for key in "abdd":
            control.press(key)  # in JupyterLab's command mode these make and delete cells
    more.press("Enter")
    expect(form.get_by_label("eta")).to_be_visible()
    expect(more).to_have_attribute("aria-expanded", "true")
    form.get_by_text("the same in Python").click()
    expect(form.get_by_label("the same in Python")).to_contain_text('seed="0-1"')
    for part in (form.locator("summary"), form.locator("pre")):
        for key in "bxdd":
            part.press(key)
    form.get_by_role("button", name="copy code").click()
    expect(form.get_by_role("button", name="copied")).to_be_visible()
    expect(nb.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(2)
    assert nb.axe(form) == [] and nb.errors == []


def test_the_form_sees_what_other_cells_render_and_says_when_python_is_gone(notebook):
    nb = notebook(
        [
            CELLS[0] + "\nfrom sdlab import run",
            "form = SweepForm(store='runs/form')\nform",
            "run(form.value, form.store, progress=False).shape",
        ]
    )
    nb.run(0), nb.run(1)
    form = nb.output(1).locator(".sdl-form")
    expect(form.get_by_text("1 picture: 0 finished")).to_be_visible(timeout=60_000)
    nb.run(2)
    form.get_by_role("button", name="Run", exact=True).focus()
    expect(form.get_by_text("all finished")).to_be_visible()
    height = form.get_by_label("seed", exact=True).bounding_box()["y"] - form.bounding_box()["y"]
    nb.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    type_into(form, "seed", "0-1")
    expect(form.get_by_text("Python does not answer")).to_be_visible(timeout=40_000)
    assert (
        form.get_by_label("seed", exact=True).bounding_box()["y"] - form.bounding_box()["y"]
        == height
    )
