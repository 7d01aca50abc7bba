"""`WatermarkInspector` in JupyterLab: files in by button, drop and paste; the answer, a search, and the keyboard alone."""

import base64
import re

import numpy as np
import pytest
from PIL import Image

from sdlab.watermark import embed_watermark

from .lab import DARK, expect, until_right

CELLS = [
    "from sdlab import detect_watermark\nfrom sdlab.widgets import WatermarkInspector\nw = WatermarkInspector()\nw",
    "w",
]
LONG = """from PIL import Image
from sdlab.widgets import WatermarkInspector
long = "a rocket left of a tree " * 9
paths = [name + ".png" for name in (long + "sd-v1", long + "none", "a rocket left of a tree · sd-v1")]
for path in paths:
    Image.new("RGB", (256, 256), "teal").save(path)
WatermarkInspector(paths)"""
MANY = """from PIL import Image
from sdlab.widgets import WatermarkInspector
w = WatermarkInspector([Image.new("RGB", (64, 64), (n, n, n)) for n in range(20)])
w"""
ARRIVE = """(root, [how, files]) => {
  const data = new DataTransfer(), options = { bubbles: true, cancelable: true };
  for (const [name, text] of files) data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
  if (how === "paste") root.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: data }));
  else for (const kind of ["dragenter", "dragover", "drop"]) root.dispatchEvent(new DragEvent(kind, { ...options, dataTransfer: data }));
}"""
MARKED = re.compile(
    r"the mark sd-v1, which is written by the image generator Stable Diffusion 1.1 to 1.5"
)


@pytest.fixture
def pictures(tmp_path):
    """Paths of a marked picture, one cut out of it, one of 1.9 MB without a mark, and a text."""
    noise = np.random.default_rng(0).integers(40, 216, (64, 64, 3), dtype=np.uint8)
    marked = embed_watermark(
        Image.fromarray(noise).resize((512, 512), Image.Resampling.BICUBIC), "sd-v1"
    )
    marked.save(tmp_path / "marked.png")
    marked.crop((20, 13, 420, 400)).save(tmp_path / "cropped.png")
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (800, 800, 3), dtype=np.uint8)).save(
        tmp_path / "large.png"
    )
    (tmp_path / "notes.png").write_text("no picture")
    return [tmp_path / name for name in ("marked.png", "cropped.png", "large.png", "notes.png")]


def inspector(nb, cell=0):
    return nb.output(cell).locator(".sdl-inspector")


def arrive(panel, how, *paths):
    panel.evaluate(
        ARRIVE, [how, [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]]
    )


def test_pictures_are_chosen_and_a_cropped_one_is_searched_by_keyboard_alone(notebook, pictures):
    nb = notebook(CELLS[:1])
    nb.run_all()
    panel = inspector(nb)
    with nb.page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Choose pictures…").press("Enter")
    chooser.value.set_files(pictures)
    expect(panel.get_by_role("alert")).to_contain_text("notes.png was not taken: not a picture")
    nb.expect_kernel("[w.names, w.states]", [["marked.png", "cropped.png", "large.png"], "+n-n-n"])
    assert (nb.folder / "runs/inspected/large.png").read_bytes() == pictures[2].read_bytes()
    expect(panel.get_by_role("heading", name=MARKED)).to_be_visible()

    panel.get_by_role("option", name="marked.png, marked").press("ArrowDown")
    expect(panel.get_by_role("option", name="cropped.png, no mark found")).to_be_focused()
    expect(panel.get_by_role("heading", name="Nothing was found")).to_be_visible()
    nb.page.keyboard.press("Tab")  # to the kind of search, which is "all"
    nb.page.keyboard.press("Tab")
    expect(panel.get_by_role("button", name="Search this picture")).to_be_focused()
    nb.page.keyboard.press("Enter")
    expect(panel.get_by_text(re.compile("about .* left"))).to_be_visible()
    expect(panel.get_by_role("option", name="cropped.png, marked")).to_be_focused()
    expect(panel.get_by_role("option", name="no mark found (not searched)")).to_have_count(1)
    expect(panel.get_by_role("button", name="Search all 1 not known to be marked")).to_be_visible()
    expect(panel.get_by_role("heading", name=MARKED)).to_be_visible()
    nb.expect_kernel("eval(w.code.split('\\n\\n')[1], globals()).detected", True)
    assert nb.errors == []


def test_no_plain_key_reaches_the_notebook(notebook, pictures):
    nb = notebook(CELLS)
    nb.run_all()
    panel = inspector(nb)
    arrive(panel, "drop", pictures[0])
    folded = panel.get_by_text("each of 12 payloads, 1 found")
    expect(folded).to_be_visible()
    expect(panel.get_by_role("region", name="payloads")).to_be_hidden()
    folded.press("Enter")
    panel.get_by_text("the same in Python").click()
    for place in (
        panel.get_by_role("option", name="marked.png, marked"),
        panel.get_by_role("region", name="payloads"),
        folded,
        panel.locator("pre"),
    ):
        place.focus()
        for key in "xddab":  # cut, delete, add a cell above and below
            nb.page.keyboard.press(key)
        expect(place).to_be_focused()
    expect(nb.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(2)
    assert nb.errors == []


RECIPE = """from sdlab import Request, run
from sdlab.widgets import WatermarkInspector
made = run([Request(prompt="a hamster", num_inference_steps=2, guidance_scale=3)], "runs/mine", progress=False)
w = WatermarkInspector([made["path"][0]])
w"""


def test_the_answer_and_the_recipe_in_the_file_can_be_passed_on(notebook, pictures):
    nb = notebook([RECIPE])
    nb.run_all()
    panel = inspector(nb)
    said = panel.get_by_role("region", name="the recipe in the file")
    expect(said.get_by_text("guidance_scale")).to_be_visible()
    expect(said.get_by_text("a hamster")).to_be_visible()
    nb.page.evaluate(
        "() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }"
    )
    panel.get_by_role("button", name="copy the answer").press("Enter")
    nb.page.wait_for_function("window.copied?.includes('guidance_scale: 3')")
    said.get_by_role("button", name="copy code that opens it in a form").click()
    nb.page.wait_for_function("window.copied?.includes('SweepForm(Request(')")
    nb.page.evaluate("() => { delete navigator.clipboard.writeText; }")
    with nb.page.expect_download() as saved:
        panel.get_by_role("button", name="save as a page").press("Enter")
    assert "<h2>The recipe in the file</h2>" in saved.value.path().read_text(encoding="utf-8")
    nb.expect_kernel("w.request.guidance_scale", 3.0)
    assert nb.axe(nb.output(0)) == []
    arrive(panel, "drop", pictures[0])
    expect(panel.get_by_role("heading", name=MARKED)).to_be_visible()
    expect(said).to_have_count(0)
    assert nb.errors == []


def fit(names):
    assert names.evaluate_all(
        "all => all.every((one) => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight)"
    )


def test_the_list_shows_what_sets_long_names_apart(notebook):
    nb = notebook([LONG])
    nb.run_all()
    names = inspector(nb).locator(".sdl-name")
    expect(names).to_have_text(
        [re.compile("sd-v1.png$"), re.compile("none.png$"), "a rocket left of a tree · sd-v1.png"]
    )
    until_right(nb.page, fit, names)
    assert len(names.nth(0).get_attribute("title")) > 200
    assert nb.errors == []


def test_the_first_of_the_files_that_arrive_is_in_sight_and_named(notebook, tmp_path):
    paths = [tmp_path / f"new {n}.png" for n in range(12)]
    for n, path in enumerate(paths):
        Image.new("RGB", (64, 64), (n, 0, 0)).save(path)
    nb = notebook([MANY])
    nb.run_all()
    panel = inspector(nb)
    expect(panel.locator(".sdl-item")).to_have_count(20)
    arrive(panel, "drop", *paths)
    expect(panel.get_by_text("12 pictures arrived")).to_be_visible()
    nb.expect_kernel("w.names[w.chosen]", "new 0.png")
    answer = panel.get_by_role("region", name="the answer")
    expect(answer.get_by_text("new 0.png", exact=True)).to_be_visible()
    first = panel.get_by_role("option", name="new 0.png")
    on_top = "(e) => Math.abs(e.offsetTop - e.parentElement.scrollTop) < 2"
    nb.page.wait_for_function(on_top, arg=first.element_handle())
    assert nb.errors == []


def test_dropped_and_pasted_pictures_show_in_every_view_and_after_a_reload(notebook, pictures):
    nb = notebook(CELLS)
    nb.run_all()
    arrive(inspector(nb), "drop", pictures[0])
    expect(inspector(nb, 1).get_by_role("option", name="marked.png, marked")).to_be_visible()
    arrive(inspector(nb, 1), "paste", pictures[1])
    expect(inspector(nb).get_by_role("option", name="cropped.png, no mark found")).to_be_visible()
    arrive(inspector(nb), "drop", pictures[0])  # the same again
    expect(inspector(nb).get_by_role("heading", name=MARKED)).to_be_visible()
    nb.expect_kernel("[w.names, w.chosen]", [["marked.png", "cropped.png"], 0])
    nb.reload()
    expect(
        inspector(nb).get_by_role("listbox", name="pictures").get_by_role("option")
    ).to_have_count(2)
    expect(inspector(nb).get_by_role("heading", name=MARKED)).to_be_visible()
    assert nb.errors == []


def test_both_themes_are_accessible_and_the_saved_notebook_tells_the_verdicts(notebook, pictures):
    nb = notebook(CELLS[:1])
    nb.run_all()
    arrive(inspector(nb), "drop", *pictures[:2])
    expect(inspector(nb).locator(".sdl-three img[src]")).to_have_count(3)
    nb.expect_kernel("w.state", "idle")
    assert nb.axe(nb.output(0)) == []
    nb.theme(DARK)
    assert nb.axe(nb.output(0)) == [] and nb.errors == []
    expect(nb.output(0).locator("[class^=sdl-static]")).to_contain_text("● marked: sd-v1")
    nb.reopen(trusted=False)
    row = nb.output(0).get_by_role("row").filter(has_text="marked.png")
    expect(row).to_contain_text("● marked: sd-v1")
    expect(row.get_by_role("img", name="marked.png")).to_be_visible()
