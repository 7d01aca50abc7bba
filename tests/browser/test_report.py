"""A report on paper: nothing of it is wider than the sheet."""

import pandas as pd
import pytest
from PIL import Image

from sdlab import Request, Store, run, sweep, write_report
from sdlab.models.resolve import resolve
from sdlab.widgets import Compare, SeedGrid

from .lab import window

SHEET = 673  # CSS pixels between the margins of A4
WIDER = """() => [document.documentElement.scrollWidth,
  ...[...document.querySelectorAll("td, th")].map((cell) => cell.getBoundingClientRect().right)]"""

HIGH = 990  # and from the upper margin to the lower
# Lays the report out on sheets beside one another, below so many pixels of nothing, and tells on
# which of them stand a still's caption, its table's head, and the first row
SHEETS = """([width, height, before]) => {
  const { style } = document.body, at = (element) =>
    Math.floor((element.getBoundingClientRect().left - left + 1) / (width + 10));
  Object.assign(style, { width: width + "px", height: height + "px", maxWidth: "none", margin: 0,
    columnWidth: width + "px", columnGap: "10px", columnFill: "auto" });
  document.body.firstElementChild.style.paddingTop = before + "px";
  const { left } = document.body.getBoundingClientRect();
  return [...document.querySelectorAll(".still")].map((still) => {
    const table = still.querySelector("table"), above = still.previousElementSibling;
    return [above, table.caption, table.tHead.rows[0], table.tBodies[0].rows[0]]
      .filter(Boolean).map(at);
  });
}"""


def save_noughts(folder, cells):
    """The frame of cells whose pictures say nothing."""
    store = Store(folder)
    for n, recipe in enumerate(map(resolve, cells)):
        store.save(recipe, Image.new("RGB", (64, 64), (n, 90, 0)), {"seconds": 0.5})
    return run(cells, store, progress=False)


@pytest.mark.parametrize("caption", ["", "What is seen"])
def test_no_caption_and_no_head_of_a_table_stands_on_another_sheet_than_its_first_row(
    browser, tmp_path, caption
):
    cells = sweep(Request(prompt="a {red|blue} cat"), guidance_scale=[3.0, 7.5], seed=range(6))
    frame = save_noughts(tmp_path / "mine", cells)
    stills = SeedGrid(frame, row="red|blue", col="seed"), Compare(frame, "guidance_scale")
    path = write_report(tmp_path / "r.html", "t", frame, *((each, caption) for each in stills))
    with window(browser) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        page.emulate_media(media="print")
        seen = set()
        for before in range(0, HIGH, 30):
            for sheets in page.evaluate(SHEETS, [SHEET, HIGH, before]):
                assert len(set(sheets)) == 1, (before, sheets)
                seen |= {*sheets}
        assert len(seen) > 1


def test_cells_of_many_columns_and_a_wide_grid_fit_on_a4(browser, tmp_path):
    cells = sweep(
        Request(prompt="a cat on a mat, in the style of nobody {today|ever}"),
        guidance_scale=[3.0, 7.5],
        scheduler=["DDIM", "EulerDiscreteScheduler"],
        eta=[0.0],
        num_inference_steps=[20, 30],
        seed=range(12),
    )
    frame, store = save_noughts(tmp_path / "mine", cells[:120]), Store(tmp_path / "mine")
    store.rate(frame["key"][0], starred=True, rating=5, tags=["hands"], note="a note " * 20)
    frame = store.frame(frame["key"])
    grid = SeedGrid(frame, row="prompt", col=["num_inference_steps", "seed"])
    path = write_report(tmp_path / "report.html", "t", frame, grid)
    with window(browser) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        page.set_viewport_size({"width": SHEET, "height": 1000})
        page.emulate_media(media="print")
        assert max(page.evaluate(WIDER)) <= SHEET
        cell = page.locator("#cells tbody tr").first
        assert "a note a note" in cell.inner_text() and pd.notna(frame["note"][0])
        note = cell.locator("td[data-name=note]")
        assert "note" in note.evaluate("td => getComputedStyle(td, '::before').content")


BESIDE = """() => [...document.querySelectorAll("#cells tbody tr")].map((row) => {
  const image = row.querySelector("img").getBoundingClientRect();
  const [first] = row.querySelector("td[data-name=prompt]").getClientRects();
  return [first.top < image.bottom, first.left > image.right, row.offsetHeight];
})"""


def test_what_is_said_of_a_picture_stands_beside_it_on_paper_and_each_prompt_once(
    browser, tmp_path
):
    words = [
        f"a {n} cat on a mat, in the style of nobody ever, sharp focus, best" for n in range(8)
    ]
    more = {"guidance_scale": [3.0, 7.5], "num_inference_steps": [20, 30], "eta": [0.0, 0.5]}
    cells = sweep(Request(), prompt=words, negative_prompt=["a dog", "rain"], **more, seed=[1, 2])
    frame = save_noughts(tmp_path / "mine", cells[::3]).assign(source="here")
    path = write_report(tmp_path / "r.html", "t", frame)
    with window(browser) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        recipe = page.locator("#recipe")
        assert all(text in recipe.inner_text() for text in (words[0], "All seeds"))
        page.set_viewport_size({"width": SHEET, "height": 1000})
        page.emulate_media(media="print")
        beside = page.evaluate(BESIDE)
        assert len(beside) == len(frame) > 60 and all(near and right for near, right, _ in beside)
        assert max(high for *_, high in beside) < 80  # five lines
        assert "each is printed with its pictures under" in recipe.inner_text()
        assert words[0] not in recipe.inner_text() and "a dog" in recipe.inner_text()
        assert "All seeds" not in recipe.inner_text() and "1, 2" in recipe.inner_text()
        assert words[0] in page.locator("#cells").inner_text()
        whole = write_report(tmp_path / "r.html", "t", frame, print_cells=False)
        page.goto(whole.as_uri())
        assert words[0] in recipe.inner_text()  # there is no other place
