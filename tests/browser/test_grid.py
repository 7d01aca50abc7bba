"""SeedGrid in real JupyterLab: cells land, are zoomed, starred and rated, and all is found again."""

import re

from .lab import DARK, LIGHT, expect, until_right

PLAN = """
from sdlab import Job, Request, run, sweep
from sdlab.widgets import SeedGrid
plan = sweep(Request(prompt="a {red|blue} circle", num_inference_steps=2), seed=range(8))
"""
LONG = PLAN.replace(", num_inference_steps=2", "")  # sketches of it are seen

FOUND = re.compile("found [a-z]|background")  # in a picture of the little worlds

HURRY = """() => {  // the page's clock, by which a question without an answer is asked again
  const now = Date.now.bind(Date), begun = now();
  Date.now = () => begun + 20 * (now() - begun);
}"""


def cell(place, words):
    return place.get_by_role("gridcell", name=words)


def test_stars_and_ratings_are_found_again_after_a_reload(notebook):
    nb = notebook([PLAN + "grid = SeedGrid(run(plan, 'runs/grid', progress=False)); grid"])
    nb.run_all()
    grid = nb.output(0).get_by_role("grid", name="pictures")
    expect(grid.locator("img[src]")).to_have_count(16)
    assert nb.axe(".sdl-root") == []

    cell(grid, "red|blue blue · seed 1").click()
    zoomed = nb.page.get_by_role("dialog").get_by_role("img", name="red|blue blue · seed 1")
    nb.page.wait_for_function(
        "img => img.naturalWidth === 64 && img.width === 512", arg=zoomed.element_handle()
    )
    nb.expect_kernel("grid.opened", 3)
    assert nb.axe("dialog[open]") == []
    heard = nb.page.get_by_role("dialog").get_by_role("status")
    for key, said in {
        "s": "seed 1, starred",
        "4": "starred, rated 4 of 5",
        "ArrowRight": "red|blue blue · seed 2",
    }.items():
        nb.page.keyboard.press(key)
        expect(heard.get_by_text(said)).to_have_count(1)
    for key in ("Escape", "ArrowUp", "s"):
        nb.page.keyboard.press(key)
    spoken = nb.output(0).get_by_role("status").filter(has_text=FOUND)  # it has the focus
    expect(spoken).to_have_count(1)
    told = grid.get_by_role("gridcell", name=FOUND)
    expect(told.nth(1)).to_be_attached()  # and the one before; where keys rest longer, more
    nb.expect_kernel(
        "[grid.starred, grid.ratings, grid.focused, grid.opened]", [[3, 4], [[3, 4]], 4, -1]
    )
    nb.expect_kernel(
        "run(plan, 'runs/grid', progress=False).query('starred')[['red|blue', 'seed']].values.tolist()",
        [["blue", 1], ["red", 2]],
    )

    for key in "xddabjm":  # they cut, delete and add cells in the notebook
        nb.page.keyboard.press(key)
    expect(nb.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(1)
    expect(nb.output(0).get_by_text("The page was reloaded")).to_be_hidden()

    nb.reload()
    expect(nb.output(0).get_by_text("The page was reloaded")).to_be_visible()
    expect(grid.locator("img[src]")).to_have_count(16)
    expect(cell(grid, "red|blue blue · seed 1, starred, rated 4 of 5")).to_be_visible()
    nb.page.get_by_label("only starred").check()
    expect(grid.get_by_role("gridcell")).to_have_count(2)
    nb.expect_kernel("len(grid.value)", 2)
    assert nb.errors == []


def test_what_a_resting_mouse_tells_of_a_picture_goes_when_a_key_is_pressed(notebook):
    nb = notebook([PLAN + "grid = SeedGrid(run(plan, 'runs/grid', progress=False)); grid"])
    nb.run_all()
    grid, tip = nb.output(0).get_by_role("grid", name="pictures"), nb.output(0).locator(".sdl-tip")
    expect(grid.locator("img[src]")).to_have_count(16)
    first = grid.get_by_role("gridcell").first
    first.focus()
    first.hover()
    expect(tip).to_be_visible()
    for key in ("ArrowDown", "s"):
        nb.page.keyboard.press(key)
        expect(tip).to_be_hidden()
    nb.expect_kernel("len(grid.starred)", 1)
    expect(tip).to_be_hidden()
    grid.get_by_role("gridcell").nth(1).hover()
    expect(tip).to_be_visible()
    assert nb.errors == []


def test_what_is_said_of_pictures_chooses_those_in_view_and_a_picture_can_be_got_out(notebook):
    nb = notebook(
        [
            PLAN
            + "results = run(plan, 'runs/marks', progress=False)\n"
            + "grid = SeedGrid(results.assign(score=[n / 16 for n in range(16)])); grid"
        ]
    )
    nb.run_all()
    out, press = nb.output(0), nb.page.keyboard.press
    grid = out.get_by_role("grid", name="pictures")
    expect(grid.locator("img[src]")).to_have_count(16)
    out.get_by_label("rows").select_option("seed")
    nb.expect_kernel("[grid.row, grid.col]", [["seed"], ["red|blue"]])
    expect(out.get_by_role("columnheader", name="blue", exact=True)).to_be_visible()
    out.get_by_label("columns").select_option("seed")  # they change places
    nb.expect_kernel("[grid.row, grid.col]", [["red|blue"], ["seed"]])
    expect(out.get_by_role("columnheader", name="0", exact=True)).to_be_visible()

    cell(grid, "red|blue red · seed 0").focus()
    for key in ("r", "ArrowRight", "w", "x", "ArrowRight", "x", "v"):
        press(key)
    beside = nb.page.get_by_role("dialog", name="selected pictures beside one another")
    expect(beside.get_by_role("img")).to_have_count(2)
    expect(beside.get_by_role("rowheader", name="seed")).to_be_visible()
    assert nb.axe("dialog[open]") == []
    press("Escape")
    press("n")
    dialog = nb.page.get_by_role("dialog", name="one picture")
    expect(dialog.get_by_label("tags")).to_be_focused()
    nb.page.keyboard.type("hands, two suns")
    press("Escape")
    nb.expect_kernel(
        "[grid.verdicts, grid.tags]", [[[0, "right"], [2, "wrong"]], [[4, ["hands", "two suns"]]]]
    )
    expect(cell(grid, "red|blue red · seed 1, wrong")).to_be_visible()
    press("Delete")
    expect(out.get_by_text("2 removed from view")).to_be_visible()
    nb.expect_kernel("[grid.hidden, grid.selected, len(grid.value)]", [[2, 4], [], 14])
    out.get_by_role("button", name="show them again").click()
    out.get_by_text("filter and sort").click()
    out.get_by_label(re.compile("^show")).select_option("wrong")
    expect(grid.get_by_role("gridcell")).to_have_count(1)
    assert nb.axe(".sdl-root") == []
    out.get_by_role("button", name="show all").press("Enter")
    out.get_by_label("sort by").select_option("score")
    out.get_by_label("largest first").check()
    expect(grid.get_by_role("gridcell").first).to_have_accessible_name(re.compile("seed 7"))

    with nb.page.expect_download() as saved:
        out.get_by_role("button", name="PNG").click()
    assert saved.value.suggested_filename == "pictures.png"
    cell(grid, "red|blue blue · seed 7").press("Enter")
    with nb.page.expect_download() as saved:
        dialog.get_by_role("link", name="save").press("Enter")
    nb.expect_kernel(
        f"open({str(saved.value.path())!r}, 'rb').read() == open(results['path'][15], 'rb').read()",
        True,
    )
    dialog.locator(".sdl-zoomed").click(button="right")
    expect(nb.page.locator(".lm-Menu")).to_have_count(0)  # the notebook's own is not in the way
    press("Escape")
    press("Escape")
    assert nb.errors == []


SHOWN_LARGE = """from PIL import Image
from sdlab import read_pictures
from sdlab.widgets import SeedGrid
for n, size in enumerate([(512, 512), (1200, 500), (300, 900)]):
    Image.new("RGB", size, "teal").save(f"a picture with a long name, number {n}.png")
SeedGrid(read_pictures(".", progress=False))"""


def test_at_853x480_the_zoom_shows_its_buttons_beside_the_picture(notebook):
    nb = notebook([SHOWN_LARGE])
    nb.page.set_viewport_size({"width": 853, "height": 480})
    nb.run_all()
    dialog = nb.page.get_by_role("dialog", name="one picture")
    cells, zoomed = nb.output(0).get_by_role("gridcell"), dialog.locator(".sdl-zoomed")
    expect(cells.locator("img[src]")).to_have_count(3)
    for n, width in enumerate((512, 1200, 300)):
        cells.nth(n).press("Enter")
        expect(zoomed).to_have_js_property("naturalWidth", width)  # the picture itself has come
        expect(zoomed).to_be_in_viewport(ratio=1)
        for name in ("close", "copy picture"):
            expect(dialog.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
        expect(dialog.get_by_label("tags")).to_be_in_viewport(ratio=1)
        dialog.get_by_role("button", name="close").click()
        expect(dialog).to_be_hidden()
    assert nb.errors == []


def test_the_zoom_offers_nothing_that_a_found_picture_cannot_do_and_says_why(notebook):
    nb = notebook(
        [
            PLAN
            + "from PIL import Image\nfrom sdlab import read_pictures\n"
            + "Image.new('RGB', (64, 64), 'teal').save('drawing.png')\n"
            + "SeedGrid(read_pictures('drawing.png', progress=False))"
        ]
    )
    nb.run_all()
    out, dialog = nb.output(0), nb.page.get_by_role("dialog", name="one picture")
    out.get_by_role("gridcell").press("Enter")
    why = re.compile("prompt.*its recipe is not known")
    expect(dialog.get_by_role("region", name="recipe").get_by_text(why)).to_be_visible()
    expect(dialog.locator(".sdl-unseen").get_by_text(why)).to_have_count(1)  # and is heard
    for name in ("copy recipe", "copy code", "open in a form", "render 8 other seeds"):
        expect(dialog.get_by_role("button", name=name)).to_have_count(0)
    expect(dialog.get_by_role("button", name="copy picture")).to_be_visible()
    nb.page.keyboard.press("f")
    expect(dialog.locator(".sdl-notice")).to_have_text(why)
    assert nb.axe("dialog[open]") == []
    nb.page.keyboard.press("Escape")
    assert nb.errors == []


def stand_side_by_side(images):
    boxes = [image.bounding_box() for image in images.all()]
    assert len({box["y"] for box in boxes}) == 1
    assert max(box["y"] + box["height"] for box in boxes) < 720
    assert boxes[0]["x"] > 0 and boxes[-1]["x"] + boxes[-1]["width"] < 1280
    assert all(box["width"] >= 256 for box in boxes)


def test_two_to_four_selected_pictures_stand_side_by_side_in_a_small_window(notebook):
    long = PLAN.replace("red|blue", "a red circle left of a blue circle and " * 3 + "a red|blue")
    nb = notebook(
        [
            long
            + "grid = SeedGrid(run(plan[::4], 'runs/beside', progress=False), row=[], col=[]); grid"
        ]
    )
    nb.page.set_viewport_size({"width": 1280, "height": 720})
    nb.run_all()
    grid = nb.output(0).get_by_role("grid", name="pictures")
    expect(grid.locator("img[src]")).to_have_count(4)
    dialog = nb.page.get_by_role("dialog", name="selected pictures beside one another")
    grid.get_by_role("gridcell").first.focus()
    nb.page.keyboard.press("x")
    for n in (2, 3, 4):
        for key in ("ArrowRight", "x", "v"):
            nb.page.keyboard.press(key)
        expect(dialog.get_by_role("img")).to_have_count(n)
        expect(dialog.locator("img[style*=width]")).to_have_count(n)
        until_right(nb.page, stand_side_by_side, dialog.get_by_role("img"))
        nb.page.keyboard.press("Escape")
    assert nb.errors == []


SKETCHED = """() => {  // whether a cell has shown a sketch: it goes when its picture is there
  window.sketched = false;
  const look = () => {
    window.sketched = document.querySelector(".sdl-atwork img[src]:not([hidden])") !== null;
    if (window.sketched) seen.disconnect();
  };
  const seen = new MutationObserver(look);
  seen.observe(document.body, { subtree: true, childList: true, attributeFilter: ["class"] });
}"""


def test_cells_appear_while_the_job_runs_and_other_seeds_can_be_asked_for(notebook):
    nb = notebook(
        [
            LONG
            + "job = Job(plan, 'runs/live', progress=False, batch_size=2); grid = SeedGrid(job); grid",
            "results = job.result()",
        ]
    )
    nb.page.evaluate(SKETCHED)
    nb.start_all()
    grid = nb.output(0).get_by_role("grid", name="pictures")
    nb.page.wait_for_function("window.sketched")  # or it would not be live
    expect(grid.locator("[aria-busy=false] img[src]")).to_have_count(16)
    expect(
        nb.output(0).locator(".sdl-job-line").get_by_text("16 of 16 pictures finished")
    ).to_be_visible()
    heard = nb.output(0).get_by_role("status").get_by_text("Finished: 16 of 16 pictures finished")
    expect(heard).to_have_count(1)

    cell(grid, "red|blue red · seed 0").press("Enter")
    nb.page.set_viewport_size({"width": 1280, "height": 600})
    nb.page.get_by_role("button", name="render 8 other seeds").click()
    expect(nb.page.get_by_role("button", name="the same with seed 1")).to_be_in_viewport()
    expect(nb.page.get_by_role("dialog").locator(".sdl-variation img[src]")).to_have_count(8)
    nb.page.get_by_role("button", name="the same with seed 8").press("Enter")
    expect(nb.page.get_by_role("dialog").get_by_role("img", name="seed 8")).to_be_visible()
    nb.page.keyboard.press("Escape")
    nb.expect_kernel("len(job.store)", 17)  # the seeds 1 to 7 were there
    assert nb.errors == []


def test_the_saved_notebook_shows_its_pictures_without_a_kernel(notebook):
    nb = notebook([PLAN + "grid = SeedGrid(run(plan, 'runs/saved', progress=False)); grid"])
    nb.run_all()
    expect(nb.output(0).locator(".sdl-cell img[src]")).to_have_count(16)
    expect(
        nb.output(0).locator("table")
    ).to_be_hidden()  # the static picture waits behind the living one
    for how in ({"trusted": False}, {"trusted": True}, {"kernel": True}):
        nb.reopen(**how)
        expect(nb.output(0).locator("table img")).to_have_count(16)
        for complaint in (
            nb.output(0).get_by_text(re.compile("Loading widget|Error displaying")).all()
        ):
            expect(complaint).to_be_hidden()
        expect(nb.output(0).locator("table img").first).to_have_js_property("naturalWidth", 64)
    assert "widgets" not in nb.save().metadata


RESTART = "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
BACK = """async () => {  // as JupyterLab does when it is connected again
  const { rendermime } = jupyterapp.shell.currentWidget.content;
  const renderer = rendermime.createRenderer("application/vnd.jupyter.widget-view+json");
  const { _models } = await renderer._manager.promise;
  for (const each of Object.values(_models)) (await each).comm_live = true;
}"""


def test_a_grid_whose_python_is_gone_looks_dead_where_one_looks_and_alive_when_it_is_back(notebook):
    nb = notebook(
        [PLAN + "grid = SeedGrid(run(plan, 'runs/dead', progress=False), cell_px=256); grid"]
    )
    nb.run_all()
    out = nb.output(0)
    root, png = out.locator(".sdl-root"), out.get_by_role("button", name="PNG", exact=True)
    last = out.locator(".sdl-cell img").last
    look = "node => [getComputedStyle(node).opacity, getComputedStyle(node).cursor]"
    expect(last).to_be_visible()
    assert png.evaluate(look) == ["1", "pointer"]
    nb.page.evaluate(RESTART)
    expect(root).to_have_class(re.compile("sdl-gone"))
    expect(out.get_by_text("Python was restarted or shut down").first).to_be_visible()
    last.scroll_into_view_if_needed()
    for node in (png, last):
        assert node.evaluate(look) == ["0.5", "not-allowed"]
    expect(root).to_have_attribute("aria-disabled", "true")
    expect(root).to_have_attribute("title", re.compile("Python is gone"))
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        nb.screenshot(f"gone-{theme.split()[-1].lower()}")
        assert nb.axe(out) == []
    nb.page.evaluate(BACK)
    expect(root).not_to_have_class(re.compile("sdl-gone"))
    assert png.evaluate(look) == ["1", "pointer"]
    assert root.get_attribute("aria-disabled") is None and root.get_attribute("role") is None


def test_all_settings_of_a_slider_are_saved_as_one_png_by_a_button(notebook):
    nb = notebook(
        [
            "from sdlab import Request, run, sweep\nfrom sdlab.widgets import SeedGrid\n"
            "plan = sweep(Request(prompt='a circle', num_inference_steps=1), eta=[0, 1], seed=range(2), guidance_scale=[1, 4])\n"
            "grid = SeedGrid(run(plan, 'runs/all', progress=False), row='eta', col='seed'); grid"
        ]
    )
    nb.run_all()
    out = nb.output(0)
    every = out.get_by_role("button", name="PNG, every guidance_scale")
    with nb.page.expect_download() as saved:
        every.press("Enter")
    assert saved.value.suggested_filename == "pictures.png"
    expect(out.get_by_role("status").get_by_text("saved 8 of 8 pictures")).to_be_visible()
    out.get_by_label("rows").select_option("guidance_scale")
    expect(out.get_by_role("button", name="PNG, every eta")).to_be_visible()
    expect(every).to_have_count(0)
    out.get_by_label("only starred").check()
    expect(out.get_by_role("button", name="PNG, every eta")).to_be_hidden()
    assert nb.axe(".sdl-root") == [] and nb.errors == []


def test_a_star_that_cannot_be_kept_is_taken_back_and_a_kernel_that_is_gone_is_told(notebook):
    nb = notebook(
        [
            PLAN + "results = run(plan, 'runs/gone', progress=False)\nSeedGrid(results)",
            "import shutil\ncopies = [shutil.copy(path, f'{i}.png') for i, path in enumerate(results['path'])]\n"
            "SeedGrid(results.assign(path=copies))",
        ]
    )
    nb.run_all()
    elsewhere = nb.output(1).get_by_role("grid", name="pictures")
    cell(elsewhere, "red|blue red · seed 3").press("s")
    told = nb.output(1).get_by_role("status").filter(has_text="these pictures are in no store")
    expect(told).to_be_visible()  # once: the zoom's is hidden with it
    expect(cell(elsewhere, "red|blue red · seed 3, starred")).to_have_count(0)
    grid = nb.output(0).get_by_role("grid", name="pictures")
    expect(grid.locator("img[src]")).to_have_count(16)
    nb.lab.stop_kernels()
    nb.page.evaluate(HURRY)
    cell(grid, "red|blue red · seed 3").press("s")
    told = nb.output(0).get_by_role("status").filter(has_text="Python does not answer")
    expect(told).to_be_visible()
    nb.page.close()  # its clock is wrong


def test_stars_are_found_whatever_the_sliders_show_and_nothing_found_is_said_whole(notebook):
    nb = notebook(
        [
            PLAN
            + "plan = sweep(Request(prompt='a circle'), guidance_scale=[0, 3], eta=[0, 1], seed=range(2))\n"
            + "grid = SeedGrid(run(plan, 'runs/stars', progress=False), row='eta', col='seed')\n"
            + "grid.rate(0, starred=True); grid"
        ]
    )
    nb.run_all()
    out = nb.output(0)
    grid, slider = (
        out.get_by_role("grid", name="pictures"),
        out.get_by_role("slider", name="guidance_scale"),
    )
    expect(slider).to_have_attribute("aria-valuetext", "3")
    nb.expect_kernel("grid.focused in grid.in_view()", True)  # that a form varies
    head = out.get_by_text("4 of 8 in view: the sliders show one setting · 1 of 8 starred")
    expect(head).to_be_visible()
    with nb.page.expect_download():
        out.get_by_role("button", name="CSV").click()
    expect(out.get_by_role("status").get_by_text("saved 4 of 8 rows")).to_be_visible()
    out.get_by_label("only starred").check()
    expect(cell(grid, re.compile("guidance_scale 0.*seed 0, starred"))).to_be_visible()
    expect(slider).to_have_attribute("aria-valuetext", "all")
    expect(slider).to_be_disabled()
    out.get_by_text("filter and sort").click()
    out.locator(".sdl-tools select").first.select_option("right")
    body = grid.locator(".sdl-empty")
    expect(body).to_be_visible()
    whole = "it => it.scrollHeight <= it.clientHeight && it.clientWidth > 400"
    nb.page.wait_for_function(whole, arg=body.element_handle())
    out.get_by_role("button", name="show all").click()
    expect(slider).to_have_attribute("aria-valuetext", "3")


def differ_and_are_whole(heads):
    seen = heads.evaluate_all(
        """all => all.map((head) => {
          const [box, words] = [head, head.firstChild].map((it) => it.getBoundingClientRect());
          return [head.innerText, words.top >= box.top, head.title, head.ariaLabel]; })"""
    )
    assert len({words for words, *_ in seen}) == 4 and all(whole for _, whole, *_ in seen)
    assert "a grassy background, text, blurry, low quality, bad drawing" in seen[3]
    assert all(title == label for *_, title, label in seen)


def differ_and_fit(captions):
    fits = "all => all.map((it) => [it.innerText, it.scrollHeight <= it.clientHeight])"
    (first, first_fits), (other, other_fits) = captions.evaluate_all(fits)
    assert first != other and first_fits and other_fits


def test_small_pictures_have_labels_and_captions_that_differ(notebook):
    nb = notebook(
        [
            PLAN
            + "other = '{blue|green|a grassy} background, text, blurry, low quality, bad drawing'\n"
            + "base = Request(prompt='a cat left of a red circle', num_inference_steps=2)\n"
            + "how = dict(model=['tiny-v1', 'tiny-v2'], seed=[1])\n"
            + "plan = [*sweep(base, **how), *sweep(base, negative_prompt=other, **how)]\n"
            + "rows = run(plan, 'runs/small', progress=False)\n"
            + "grid = SeedGrid(rows, row=['prompt', 'model'], col='negative_prompt', cell_px=64)\n"
            + "grid"
        ]
    )
    nb.run_all()
    out = nb.output(0)
    grid = out.get_by_role("grid", name="pictures")
    heads = grid.locator(".sdl-columnheader")
    expect(heads).to_have_count(4)
    until_right(nb.page, differ_and_are_whole, heads)

    for model in ("tiny-v1", "tiny-v2"):
        cell(grid, re.compile(f"{model}.*grassy|grassy.*{model}")).focus()
        nb.page.keyboard.press("s")
    out.get_by_label("only starred").check()
    captions = grid.locator(".sdl-caption")
    expect(captions).to_have_count(2)
    until_right(nb.page, differ_and_fit, captions)
    expect(out.get_by_label("rows")).to_be_disabled()
    expect(out.get_by_text("brings rows and columns back")).to_be_visible()
    out.get_by_label("only starred").uncheck()
    expect(out.get_by_label("rows")).to_be_enabled()
    expect(out.get_by_text("brings rows and columns back")).to_be_hidden()
    assert nb.errors == []
