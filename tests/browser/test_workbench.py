"""Workbench in JupyterLab: from a prompt to a report over one store, without a line of code."""

from .lab import DARK, LIGHT, expect, until_right

CELL = "from sdlab.widgets import Workbench\nbench = Workbench('runs/mine')\nbench"


def test_from_a_prompt_to_a_report_without_code(notebook):
    nb = notebook([CELL])
    nb.run_all()
    out, press = nb.output(0), nb.page.keyboard.press
    tab = lambda name: out.get_by_role("tab", name=name, exact=True)
    tab("Grid").click()
    expect(out.get_by_text("There is no picture yet")).to_be_visible()
    tab("Sweep").click()
    prompt = out.get_by_label("prompt", exact=True)
    prompt.fill("a red circle")
    out.get_by_label("seed", exact=True).fill("0-1")
    out.get_by_label("num_inference_steps", exact=True).fill("2")
    out.get_by_label("guidance_scale", exact=True).fill("1, 4")
    press("Tab")
    nb.kernel("bench.tabs['Sweep'].form.wait(60)")
    out.get_by_role("button", name="Run", exact=True).click()
    nb.expect_kernel("bench.value.shape[0]", 4)
    expect(out.get_by_role("combobox", name="pictures", exact=True)).to_have_value("the last run")
    tab("Sweep").focus()
    press("ArrowRight")
    press("Enter")
    expect(out.get_by_role("grid").locator("visible=true")).to_be_visible()
    nb.expect_kernel("bench.chosen", "Grid")
    tab("Compare").click()
    out.get_by_role("button", name="Show the pairs").click()
    expect(out.get_by_text("Which is better?").or_(out.get_by_text("1 of 2")).first).to_be_visible()
    tab("Report").click()
    out.get_by_role("button", name="Write the report").click()
    expect(out.get_by_text("A report needs a title")).to_be_visible()
    out.get_by_label("title", exact=True).fill("Guidance")
    press("Tab")
    out.get_by_role("button", name="Write the report").click()
    expect(out.get_by_role("link", name="reports/mine.html")).to_be_visible()
    out.get_by_role("button", name="Code").click()
    expect(
        out.get_by_text("write_report('reports/mine.html', 'Guidance', results)")
    ).to_be_visible()
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        assert nb.axe(out) == []
    assert nb.errors == []


def test_the_round_that_a_button_begins_is_answered_by_keys_at_once(notebook):
    made = "from sdlab import Request, run, sweep\nrun(sweep(Request(prompt='a red circle', num_inference_steps=2), seed=range(3)), 'runs/mine', progress=False)"
    nb = notebook([made, CELL])
    nb.run_all()
    out, press = nb.output(1), nb.page.keyboard.press
    out.get_by_role("tab", name="Judge", exact=True).click()
    begin = out.get_by_role("button", name="Begin", exact=True)
    begin.press("Enter")
    expect(out.get_by_text("say what is asked")).to_be_visible()
    out.get_by_label("question", exact=True).fill("Is it red?")
    press("Tab")
    expect(out.get_by_text("say what is asked")).to_have_count(0)
    begin.press("Enter")
    place = lambda n: out.get_by_role("group", name=f"picture {n} of 4")
    expect(place(1)).to_be_focused()
    press("1")
    expect(place(2)).to_be_visible()
    nb.expect_kernel("bench.tabs['Judge'].widget.value.answer.tolist()", ["yes"])
    nb.expect_kernel("bench.tabs['Judge'].widget.goes_to_picture", False)
    assert nb.errors == []


BORN = """() => {
  window.born = [];
  const isSaid = (node) => node.getAttribute?.("role") === "status" && node.textContent.trim();
  new MutationObserver((changes) => {
    for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes]))
      for (const each of [node, ...(node.querySelectorAll?.("[role=status]") ?? [])])
        if (isSaid(each)) born.push(each.textContent);
  }).observe(document.body, { subtree: true, childList: true });
}"""


def test_what_is_said_is_put_into_elements_that_stay_as_only_that_is_read_aloud(notebook):
    nb = notebook([CELL])
    nb.run_all()
    out, press = nb.output(0), nb.page.keyboard.press
    prompt = out.get_by_label("prompt", exact=True)
    prompt.fill("a red circle")
    press("Tab")
    heard = out.locator(".sdl-run-line").get_by_role("status")
    expect(heard).to_contain_text("1 picture: 0 finished, 1 to render")
    nb.page.evaluate(BORN)
    out.get_by_label("num_inference_steps", exact=True).fill("2")
    seed = out.get_by_label("seed", exact=True)
    seed.fill("0-1")
    press("Tab")
    expect(heard).to_contain_text("2 pictures: 0 finished, 2 to render")
    form = "bench.tabs['Sweep'].form"
    for _ in range(2):
        last = nb.kernel(f"id({form}.job)")
        seed.focus()
        press("Control+Enter")
        nb.expect_kernel(f"[id({form}.job) == {last}, {form}.running]", [False, False])
        expect(heard).to_contain_text("2 pictures, all finished: nothing to render")
    out.get_by_label("columns", exact=True).first.select_option("seed")
    expect(out.get_by_role("status").get_by_text("stand below in columns by seed")).to_be_visible()
    out.get_by_role("tab", name="Report", exact=True).click()
    out.get_by_label("title", exact=True).fill("Red")
    press("Tab")
    out.get_by_role("button", name="Write the report").click()
    told = out.get_by_role("status").filter(has=nb.page.get_by_role("link", name="mine.html"))
    expect(told).to_contain_text("The report is at")
    said = ("to render", "The report is", "stand below")
    assert [t for t in nb.page.evaluate("born") if any(part in t for part in said)] == []
    assert nb.errors == []


TWO = """from sdlab import Request, run, sweep
run(sweep(Request(prompt="a {red|blue} circle", num_inference_steps=2)), "runs/mine")
"""
CUT = """(tabs) => tabs.filter((tab) => {
  const label = tab.querySelector(".lm-TabBar-tabLabel"), { left, right } = tab.getBoundingClientRect();
  return label.scrollWidth > label.clientWidth || left < 0 || right > innerWidth;
}).map((tab) => tab.textContent)"""


def are_whole(tabs):
    assert tabs.evaluate_all(CUT) == []


def is_reached(node):
    node.scroll_into_view_if_needed()
    expect(node).to_be_in_viewport(ratio=1, timeout=500)  # ms; else it is scrolled to anew


def test_at_150_percent_beside_the_file_browser_all_tabs_and_the_end_of_compare_are_reached(
    notebook,
):
    nb = notebook([TWO + CELL])
    nb.page.set_viewport_size({"width": 853, "height": 480})
    nb.command("filebrowser:activate")
    nb.run_all()
    out = nb.output(0)
    expect(out.get_by_role("tab")).to_have_count(6)
    until_right(nb.page, are_whole, out.get_by_role("tab"))
    out.get_by_role("tab", name="Compare", exact=True).click()
    out.get_by_role("button", name="Show the pairs").click()
    compare = out.locator(".sdl-compare")
    expect(compare.locator("img[src]")).to_have_count(2)
    expect(compare).to_have_attribute("aria-busy", "false")
    compare.get_by_role("button", name="tie").press("Enter")
    reveal = compare.get_by_role("button", name="show who is who")
    for last in (reveal, compare.locator(".sdl-help").first):
        until_right(nb.page, is_reached, last)
    nb.command("filebrowser:hide-main")
    assert nb.errors == []


def test_a_picture_opened_in_the_form_from_full_screen_leaves_a_page_that_takes_clicks(notebook):
    nb = notebook([TWO + CELL])
    nb.run_all()
    out = nb.output(0)
    out.get_by_role("tab", name="Grid", exact=True).click()
    grid = out.locator(".sdl-seedgrid").locator("visible=true")
    grid.get_by_role("button", name="full screen").click()
    is_full = "() => document.fullscreenElement !== null"
    nb.page.wait_for_function(is_full)
    grid.get_by_role("gridcell").first.press("Enter")
    into = nb.page.locator("dialog[open]").get_by_role("button", name="open in a form")
    expect(into).not_to_have_attribute("aria-disabled", "true")
    into.click()
    nb.page.wait_for_function(f"() => !({is_full})()")
    expect(out.get_by_role("tab", name="Sweep", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    out.get_by_role("tab", name="Report", exact=True).click()
    expect(out.get_by_role("button", name="Write the report")).to_be_visible()
    assert nb.errors == []


def test_arrows_choose_in_the_lists_around_the_tabs_and_stay_there(notebook):
    nb = notebook([TWO + CELL])
    nb.run_all()
    out, press = nb.output(0), nb.page.keyboard.press
    pictures = out.get_by_role("combobox", name="pictures", exact=True)
    nb.page.locator(".jp-CodeCell").first.focus()
    for _ in range(30):
        press("Tab")
        if pictures.evaluate("node => node === document.activeElement"):
            break
    expect(pictures).to_be_focused()
    before = nb.kernel("bench.pictures")
    expect(pictures).to_have_value(before)
    press("ArrowDown")
    expect(pictures).to_be_focused()
    expect(pictures).not_to_have_value(before)
    nb.expect_kernel(f"bench.pictures == {before!r}", False)
    press("ArrowUp")
    expect(pictures).to_have_value(before)
    nb.expect_kernel("bench.pictures", before)
    out.get_by_role("tab", name="Judge", exact=True).click()
    by = out.get_by_role("combobox", name="by", exact=True).locator("visible=true")
    expect(by.locator("option")).not_to_have_count(1)  # what can be chosen is there
    expect(by).to_have_value("single pictures")
    by.focus()
    press("ArrowDown")
    expect(by).to_be_focused()
    expect(by).not_to_have_value("single pictures")
    nb.expect_kernel("bool(bench.tabs['Judge'].by.value)", True)
    assert nb.errors == []
