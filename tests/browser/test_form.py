"""The form in JupyterLab: filled in by keyboard, run, stopped and resumed; bad input, both themes."""

import re

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
        "seed": "0-7",
        "guidance_scale": "1-7 (+3)",
        "num_inference_steps": "50",
    }.items():
        type_into(form, label, text)
    expect(form.get_by_text("24 pictures: 0 finished")).to_be_visible()
    assert nb.axe(form) == []
    run.press("Enter")
    expect(pictures.first).to_be_visible()  # a sketch
    expect(run).to_be_disabled()
    expect(stop).to_be_focused()
    expect(form.get_by_role("button", name="Stop")).to_have_count(1)
    nb.expect_kernel("form.job.progress.rendered > 0", True)
    stop.press("Enter")
    expect(run).to_be_enabled()
    expect(run).to_be_focused()
    nb.expect_kernel(
        "[form.job.state, form.job.frame()['path'].isna().any().item()]", ["stopped", True]
    )

    expect(form.get_by_text(" to render on tiny-v1")).to_be_visible()
    run.press("Enter")
    expect(form.get_by_text("24 pictures, all finished")).to_be_visible()
    nb.expect_kernel(
        "[form.job.state, form.job.progress.todo < 24, form.results['path'].notna().all().item()]",
        ["done", True, True],
    )
    expect(form.locator(".sdl-cell[data-i='0'] img")).to_be_visible()
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        assert nb.axe(form) == []
    expect(nb.output(1).locator("[class^=sdl-static] img")).to_have_count(24)  # hidden as yet
    nb.reopen()
    expect(nb.output(1).get_by_role("img")).to_have_count(24)
    expect(nb.output(1)).to_contain_text("a red circle")
    assert nb.errors == []


LISTEN = """node => {  // what a button says for a moment
  window.said = [];
  new MutationObserver(() => said.push(node.textContent)).observe(node, { childList: true });
}"""


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
    expect(form.get_by_text("8 pictures: 0 finished")).to_be_visible()
    type_into(form, "seed", "0-")
    expect(alert).to_contain_text("neither a number nor a range")
    expect(seed).to_have_attribute("aria-invalid", "true")
    assert (
        nb.page.locator(f"[id='{seed.get_attribute('aria-describedby')}']").inner_text()
        == alert.inner_text()
    )
    expect(form.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    assert nb.axe(form) == []
    heard = form.get_by_role("status").get_by_text("neither a number nor a range")
    expect(heard).to_have_count(0)
    form.get_by_label("prompt", exact=True).press("Control+Enter")
    expect(seed).to_be_focused()
    expect(heard).to_have_count(1)
    type_into(form, "seed", "0-1")
    expect(alert).to_have_count(0)
    expect(seed).to_have_attribute("aria-invalid", "false")
    more = form.get_by_role("button", name="More settings")
    expect(form.get_by_label("eta")).to_be_hidden()
    for control in (form.get_by_label("scheduler"), form.get_by_label("rows", exact=True), more):
        control.focus()
        expect(control).to_be_focused()
        for key in "abdd":
            control.press(key)  # in JupyterLab's command mode these make and delete cells
    more.press("Enter")
    expect(form.get_by_label("eta")).to_be_visible()
    expect(more).to_have_attribute("aria-expanded", "true")
    form.get_by_text("the same in Python").click()
    expect(form.get_by_label("the same in Python")).to_contain_text('seed="0-1"')
    for part in (form.locator("summary"), form.locator("pre")):
        part.focus()
        expect(part).to_be_focused()
        for key in "bxdd":
            part.press(key)
    copy = form.get_by_role("button", name="copy code")
    copy.evaluate(LISTEN)
    copy.click()
    nb.page.wait_for_function("window.said.includes('copied')")
    expect(nb.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(2)
    assert nb.axe(form) == [] and nb.errors == []


BELOW = """form => form.querySelector(".sdl-field-seed").getBoundingClientRect().top
  - form.getBoundingClientRect().top"""


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
    expect(form.get_by_text("1 picture: 0 finished")).to_be_visible()
    nb.run(2)
    run = form.get_by_role("button", name="Run", exact=True)
    expect(run).to_be_enabled()
    run.focus()
    expect(form.get_by_text("all finished")).to_be_visible()
    height = form.evaluate(BELOW)
    nb.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(form.get_by_text("Python was restarted or shut down")).to_be_visible()
    expect(form).to_have_class(re.compile("sdl-gone"))  # with its fields, which are no panel's
    assert form.evaluate(BELOW) == height


LONG = "sweep(Request(prompt='a {red|blue} cat', num_inference_steps=400), seed='0-9')"
GET = "form.job and [form.job.state, form.job is form.grid.job]"


def test_a_cell_that_is_run_again_in_mid_run_has_its_job_and_the_key_stops_it(notebook):
    nb = notebook([CELLS[0], f"form = SweepForm({LONG}, 'runs/form')\nform"])
    nb.run_all()
    form = nb.output(1).locator(".sdl-form")
    expect(form.get_by_text("20 pictures: 0 finished")).to_be_visible()
    form.get_by_role("button", name="Run", exact=True).click()
    expect(form.locator(".sdl-cell img").first).to_be_visible()
    nb.run(1)
    stop = form.locator(".sdl-run").get_by_role("button", name="Stop", exact=True)
    expect(form.locator(".sdl-run").get_by_text("of 20 pictures finished")).to_be_visible()
    nb.expect_kernel(GET, ["running", True])
    nb.set_source(1, "form = SweepForm(sweep(Request(prompt='a rocket')), 'runs/form')\nform")
    nb.run(1)
    expect(form.get_by_label("prompt", exact=True)).to_have_value("a {red|blue} cat")
    expect(form.get_by_text("filled in is what it renders")).to_be_visible()
    stop.press("Enter")
    nb.expect_kernel(GET, ["stopped", True])
    said = form.locator(".sdl-run").get_by_text("(stopped); Run goes on from there")
    expect(said).to_be_visible()
    heard = form.get_by_role("status").get_by_text("Stopped: ")
    expect(heard).to_have_count(1)
    expect(form.get_by_role("button", name="Run", exact=True)).to_be_enabled()
    assert nb.errors == []


def test_a_form_waits_for_the_job_of_another_cell_and_an_interrupt_stops_both(notebook):
    nb = notebook(
        [
            CELLS[0] + "\nfrom sdlab import Job",
            f"hidden = Job({LONG}, 'runs/hidden', progress=False)",
            f"form = SweepForm({LONG}, 'runs/form')\nform",
        ]
    )
    nb.run_all()
    form = nb.output(2).locator(".sdl-form")
    expect(form.get_by_text("20 pictures: 0 finished")).to_be_visible()
    form.get_by_role("button", name="Run", exact=True).press("Enter")
    bar = form.locator(".sdl-run")
    expect(bar.get_by_text("waits for the job in 'hidden'")).to_be_visible()
    assert nb.axe(form) == []
    form.get_by_role("button", name="Stop the other job").click()
    expect(form.locator(".sdl-cell img").first).to_be_visible()
    expect(form.get_by_role("button", name="Stop the other job")).to_be_hidden()
    nb.expect_kernel("[hidden.state, form.job.state]", ["stopped", "running"])
    nb.run(1)
    nb.command("notebook:interrupt-kernel")
    nb.expect_kernel(
        "[hidden.state, form.job.state, len(Job.list_running())]", ["stopped", "stopped", 0]
    )
    assert nb.errors == []


def test_at_1280_by_720_the_key_runs_and_the_count_and_the_first_row_are_in_view(notebook):
    nb = notebook([CELLS[0], f"form = SweepForm({LONG}, 'runs/form')\nform"])
    nb.page.set_viewport_size({"width": 1280, "height": 720})
    nb.run_all()
    form = nb.output(1).locator(".sdl-form")
    seed = form.get_by_label("seed", exact=True)
    seed.fill("0-")
    seed.press("Control+Enter")
    expect(form.get_by_role("alert")).to_contain_text("neither a number nor a range")
    expect(seed).to_be_focused()
    seed.fill("-1")
    seed.press("Control+Enter")
    expect(form.locator(".sdl-cell img").first).to_be_visible()
    expect(form.locator(".sdl-cell").first).to_be_in_viewport(ratio=1)
    count = form.locator(".sdl-run").get_by_text(re.compile(r"\b[01] of 2 pictures finished"))
    expect(count).to_be_in_viewport(ratio=1)
    drawn = seed.input_value()
    assert drawn.isdigit()
    nb.expect_kernel("[r.seed for r in form.job.requests]", [int(drawn)] * 2)
    expect(nb.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(2)
    assert nb.axe(form) == []
    form.get_by_label("rows", exact=True).select_option("prompt")
    expect(form.get_by_text("prompt ↓")).to_be_visible()
    nb.expect_kernel("[form.job.state, form.job is form.grid.job]", ["running", True])
    nb.command("notebook:interrupt-kernel")
    nb.expect_kernel("form.job.state", "stopped")
    assert nb.errors == []


MADE = """from sdlab import run
from PIL import Image
made = run(Request(prompt='a rocket', num_inference_steps=2, seed=7), 'runs/made', progress=False)
Image.new('RGB', (64, 64), 'red').save('drawing.png')"""
DROP = """async (element, [name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type: "image/png" }));
  for (const type of ["dragover", "drop"])
    element.dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


def test_a_form_is_filled_in_from_pictures_prompts_and_last_time(notebook):
    nb = notebook([CELLS[0] + "\n" + MADE, "form = SweepForm(store='runs/form')\nform"])
    nb.run_all()
    form = nb.output(1).locator(".sdl-form")
    prompt, image = (form.get_by_label(name, exact=True) for name in ("prompt", "image"))
    files = {
        "made.png": nb.kernel(
            "__import__('base64').b64encode(open(made['path'][0], 'rb').read()).decode()"
        ),
        "drawing.png": nb.kernel(
            "__import__('base64').b64encode(open('drawing.png', 'rb').read()).decode()"
        ),
    }
    form.evaluate(DROP, ["made.png", files["made.png"]])
    expect(prompt).to_have_value("a rocket")
    expect(form.get_by_label("seed", exact=True)).to_have_value("7")
    expect(form.get_by_text("Filled in from made.png")).to_be_visible()
    form.get_by_role("button", name="Input pictures").press("Enter")
    upload = form.locator(".sdl-field-image .widget-upload")
    expect(upload).to_have_text("Upload image")  # without a count
    expect(upload).to_be_visible()  # what is folded away takes no focus, and no key
    with nb.page.expect_file_chooser() as chosen:
        upload.press("Enter")
    chosen.value.set_files(nb.folder / "drawing.png")
    expect(image).to_have_value("drawing.png (uploaded)")
    nb.expect_kernel("len(form._fields['image'].upload.value)", 0)  # and the button is drawn anew
    expect(upload).to_have_text("Upload image")
    image.fill("")
    image.blur()
    form.locator(".sdl-field-image").evaluate(DROP, ["drawing.png", files["drawing.png"]])
    expect(image).to_have_value("drawing.png (uploaded)")
    form.get_by_label("begin with").select_option(index=1)
    expect(prompt).to_have_value("two cats on a gray background")
    expect(form.get_by_text("Kept from before: ")).to_contain_text("image drawing.png")
    form.get_by_role("button", name="As before").press("Enter")
    expect(prompt).to_have_value("a rocket")
    nb.kernel(
        "setattr(form.fields['scheduler'], 'value', (form.fields['scheduler'].options[-1][1],))"
    )
    nb.page.wait_for_function(
        "() => document.querySelector('.sdl-field-scheduler select').scrollTop > 0"
    )
    pieces = form.get_by_role("button", name="Prompts as the model reads them")
    pieces.press("Enter")
    expect(form.get_by_text("tokens").first).to_be_visible()
    assert nb.axe(form) == []
    nb.run(1)
    expect(form.get_by_text("Filled in as last time")).to_be_visible()
    expect(image).to_have_value("drawing.png (uploaded)")
    form.get_by_role("button", name="Begin anew").press("Enter")
    expect(prompt).to_have_value("")
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        assert nb.axe(form) == []
    with nb.page.expect_file_chooser() as chosen:
        form.get_by_role("button", name="Fill in from a picture").press("Enter")
    chosen.value.set_files(nb.folder / nb.kernel("made['path'][0]"))
    expect(prompt).to_have_value("a rocket")
    assert nb.errors == []


LOOKED_AT = """
from sdlab.widgets import SeedGrid, WatermarkInspector
made = run(sweep(Request(prompt="a {red|blue} circle", num_inference_steps=2), seed=range(2)), "runs/made", progress=False)
grid = SeedGrid(made)
grid"""


def test_a_recipe_is_opened_in_the_form_from_a_zoom_and_from_an_inspector(notebook):
    nb = notebook(
        [
            CELLS[0].replace("sweep", "run, sweep"),
            CELLS[1],
            LOOKED_AT,
            "inspector = WatermarkInspector(made['path'].iloc[[0, 3]].tolist())\ninspector",
        ]
    )
    nb.run(0)
    nb.run(2)
    grid, dialog = nb.output(2).get_by_role("grid"), nb.page.get_by_role("dialog")
    into = dialog.get_by_role("button", name="open in a form")
    grid.get_by_role("gridcell", name="red|blue blue · seed 1").press("Enter")
    into.click()
    expect(dialog.get_by_text("there is no form yet")).to_be_visible()
    assert nb.axe("dialog[open]") == []
    nb.page.keyboard.press("Escape")

    nb.run(1)
    form = nb.output(1).locator(".sdl-form")
    prompt, seed = (form.get_by_label(name, exact=True) for name in ("prompt", "seed"))
    grid.get_by_role("gridcell", name="red|blue blue · seed 1").click()
    into.click()
    expect(dialog).to_be_hidden()
    expect(prompt).to_be_focused()
    expect(prompt).to_have_value("a blue circle")
    expect(prompt).to_be_in_viewport()
    expect(seed).to_have_value("1")
    nb.expect_kernel("'a blue circle' in form.code and 'seed=1' in form.code", True)
    grid.get_by_role("gridcell", name="red|blue red · seed 0").press("Enter")
    expect(into).to_have_attribute("aria-disabled", "false")
    nb.page.keyboard.press("f")
    expect(prompt).to_be_focused()
    expect(prompt).to_have_value("a red circle")
    expect(seed).to_have_value("0")

    nb.run(3)
    said = nb.output(3).get_by_role("region", name="the recipe in the file")
    inside = said.get_by_role("button", name="open in a form", exact=True)
    expect(said.get_by_text("a red circle")).to_be_visible()
    nb.output(3).get_by_role("option").nth(1).click()
    expect(said.get_by_text("a blue circle")).to_be_visible()
    inside.click()
    expect(prompt).to_be_focused()
    expect(prompt).to_have_value("a blue circle")
    nb.output(3).get_by_role("option").nth(0).click()
    expect(said.get_by_text("a red circle")).to_be_visible()
    inside.press("Enter")
    expect(prompt).to_be_focused()
    expect(prompt).to_have_value("a red circle")
    expect(form.get_by_text("Filled in from")).to_be_visible()
    assert nb.axe(nb.output(3)) == []
    assert nb.errors == []


def test_what_is_said_out_of_sight_stands_at_the_button_that_was_pressed_too(notebook):
    made = "made = run(Request(num_inference_steps=2), 'runs/made', progress=False)"
    look = "inspector = WatermarkInspector(made['path'].tolist())\ninspector"
    bring = "from sdlab import Request, run\nfrom sdlab.widgets import WatermarkInspector\n"
    nb = notebook([bring + made, look])
    nb.page.set_viewport_size({"width": 1280, "height": 420})
    nb.run_all()
    into = nb.output(1).get_by_role("button", name="open in a form", exact=True)
    expect(into).to_be_visible()
    into.evaluate("node => node.scrollIntoView({ block: 'start' })")
    into.focus()
    into.press("Enter")
    near = nb.output(1).locator(".sdl-bar + .sdl-notice")
    expect(near).to_contain_text("there is no form yet")
    expect(near).to_be_in_viewport()
    assert nb.errors == []
