"""A report on paper: nothing of it is wider than the sheet."""

import pandas as pd
from PIL import Image

from sdlab import Request, Store, run, sweep, write_report
from sdlab.models.resolve import resolve
from sdlab.widgets import SeedGrid

from .lab import window

SHEET = 673  # CSS pixels between the margins of A4
WIDER = """() => [document.documentElement.scrollWidth,
  ...[...document.querySelectorAll("td, th")].map((cell) => cell.getBoundingClientRect().right)]"""


def test_cells_of_many_columns_and_a_wide_grid_fit_on_a4(browser, tmp_path):
    cells = sweep(
        Request(prompt="a cat on a mat, in the style of nobody {today|ever}"),
        guidance_scale=[3.0, 7.5],
        scheduler=["DDIM", "EulerDiscreteScheduler"],
        eta=[0.0],
        num_inference_steps=[20, 30],
        seed=range(12),
    )
    store = Store(tmp_path / "mine")
    for n, recipe in enumerate(map(resolve, cells[:120])):
        store.save(recipe, Image.new("RGB", (64, 64), (n, 90, 0)), {"seconds": 0.5})
    frame = run(cells[:120], store, progress=False)
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
