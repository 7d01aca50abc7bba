"""Take the pictures of the widgets in JupyterLab's light and dark theme: `python tests/screenshots.py [FOLDER]`.

It starts its own JupyterLab and Chromium and runs each shot's cells on the embedded model; FOLDER is build/screenshots. Those
that the README shows are copied to notebooks/screenshots, smaller.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from browser.lab import DARK, LIGHT, Notebook, chromium, expect, window
from browser.server import Lab
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser

THEMES = {"light": LIGHT, "dark": DARK}
README = ("grid", "compare", "judge", "inspector")  # in the light theme
OUTPUT = ".jp-CodeCell >> nth=-1 >> .jp-OutputArea"  # what the last cell shows


@dataclass(frozen=True)
class Shot:
    """One picture: these cells are run, this is clicked, one after the other, and that is taken."""

    name: str
    cells: tuple[str, ...]
    clicks: tuple[str, ...] = ()  # Playwright's selectors
    seen: str = ""  # a selector; what must be there before
    selector: str = OUTPUT
    width: int = 1280  # of the window, in CSS pixels
    height: int = 1500
    scale: float = 1


PLAN = """
from sdlab import Request, run, sweep
from sdlab.widgets import Compare, Judge, SeedGrid, SweepForm, WatermarkInspector
plan = sweep(Request(prompt="a {hamster|rocket} on a blue background"), guidance_scale=[0, 1, 2, 4, 7.5], seed=range(3))
"""
MARKED = (
    PLAN
    + """
large = Request(prompt="a rocket left of a tree", height=256, width=256, num_inference_steps=10)
results = run(sweep(large, seed=range(3), watermark=["sd-v1", None]), "runs/marked", progress=False)
"""
)
CELL = ".sdl-cell >> nth=4"
SHOTS = [
    Shot(
        "form",
        (PLAN, "form = SweepForm(plan, 'runs/form')\nform", "form.run().wait()"),
        selector=".jp-CodeCell >> nth=1 >> .jp-OutputArea",
    ),
    Shot(
        "grid",
        (
            PLAN,
            "SeedGrid(run(plan, 'runs/grid', progress=False), row=['hamster|rocket', 'seed'], col='guidance_scale', cell_px=96)",
        ),
        width=900,
    ),
    Shot(
        "zoom",
        (PLAN, "SeedGrid(run(plan, 'runs/grid', progress=False))"),
        clicks=(CELL,),
        selector="dialog[open]",
    ),
    Shot(
        "compare",
        (
            PLAN,
            "Compare(run(plan, 'runs/grid', progress=False), by='guidance_scale', left=1, right=4)",
        ),
    ),
    Shot(
        "blind",
        (
            PLAN,
            "Compare(run(plan, 'runs/grid', progress=False), by='guidance_scale', left=1, right=4, blind=True)",
        ),
        clicks=("button:has-text('side by side')",),
    ),
    Shot(
        "marks",
        (
            PLAN,
            "grid = SeedGrid(run(plan, 'runs/marks', progress=False).iloc[:26], row='hamster|rocket', "
            "col=['guidance_scale', 'seed'], cell_px=80)\n"
            "for i, verdict in enumerate(['right', 'wrong', 'cannot tell'] * 2): grid.rate(i, verdict=verdict, "
            "tags=['ears'], starred=i < 2)\ngrid.selected = [2, 3]\ngrid",
        ),
        clicks=("text=filter and sort",),
        seen=".sdl-cell img[src]",
    ),
    Shot(
        "beside",
        (
            PLAN,
            "grid = SeedGrid(run(plan, 'runs/grid', progress=False)); grid.selected = [0, 7, 11]\ngrid",
        ),
        clicks=("button:has-text('compare')",),
        seen=".sdl-beside img",
        selector="dialog[open]",
    ),
    Shot(
        "blind-end",
        (
            PLAN,
            "frame = run(plan, 'runs/voted', progress=False)\nfor rater in ('Ann', 'Bob'):\n"
            "    compare = Compare(frame, by='guidance_scale', left=1, right=4, blind=True, rater=rater)\n"
            "    for n in range(6): compare._ballot.cast(n, ('left', 'tie', 'right')[n % 3])\n"
            "compare._deal(0)\ncompare.reveal()",
            "compare",
        ),
        seen=".sdl-compare-tally p",
    ),
    Shot(
        "recipe",
        (
            PLAN,
            "inspector = WatermarkInspector(run(plan[:2], 'runs/grid', progress=False)['path'].tolist())\ninspector",
            "inspector.wait()",
        ),
        seen=".sdl-recipe-said",
        selector=".jp-CodeCell >> nth=1 >> .jp-OutputArea",
    ),
    Shot(
        "judge",
        (
            PLAN,
            "judge = Judge(run(plan, 'runs/judge', progress=False), 'Which of the two is it?', "
            "answers=['hamster', 'rocket', 'neither'], rater='Ann')\n"
            "for answer in ('rocket', 'hamster', 'neither', None): judge.say(answer, 2)",
            "judge",
        ),
        seen=".sdl-judge-picture",
    ),
    Shot(
        "judge-pairs",
        (
            PLAN,
            "Judge(run(plan, 'runs/judge', progress=False), 'Which is closer to “{prompt}”?', "
            "by='guidance_scale', left=1, right=4)",
        ),
        seen=".sdl-judge-picture",
    ),
    Shot(
        "judge-end",
        (
            PLAN,
            "frame = run(plan, 'runs/judged', progress=False)\nfor rater in ('Ann', 'Bob'):\n"
            "    judge = Judge(frame, 'Is it a hamster?', rater=rater)\n"
            "    for n in range(judge.total): judge.say('yes' if n % (3 + len(judge.raters)) else 'no', 2)\n"
            "judge.unblind()",
            "judge",
        ),
        seen=".sdl-judge-verdict",
    ),
    Shot(
        "inspector",
        (MARKED, "inspector = WatermarkInspector(results)\ninspector", "inspector.wait()"),
        seen=".sdl-inspector figure img[src^=blob] >> nth=2",
        selector=".jp-CodeCell >> nth=1 >> .jp-OutputArea",
        width=1400,
        height=1900,
    ),
    Shot(
        "image_grid",
        (
            PLAN,
            "from sdlab import image_grid\nimage_grid(run(plan, 'runs/grid', progress=False), "
            "row=['hamster|rocket', 'seed'], col='guidance_scale')",
        ),
        selector=f"{OUTPUT} >> img >> nth=1",  # before it, a dot with its words
    ),
]


def take(shot: Shot, lab: Lab, browser: Browser, folder: Path) -> list[Path]:
    """The shot in each theme; a complaint of the page is an error."""
    with window(browser, width=shot.width, height=shot.height, scale=shot.scale) as context:
        notebook = Notebook(lab, context, lab.write(shot.name, shot.cells))
        notebook.run_all()
        for click in shot.clicks:
            notebook.page.click(click)
        if shot.seen:
            expect(notebook.page.locator(shot.seen).first).to_be_visible()
        paths = [taken(shot, notebook, theme, folder) for theme in THEMES]
        if notebook.errors:
            raise RuntimeError(f"{shot.name}: " + "\n".join(notebook.errors))
    lab.reset()
    return paths


def taken(shot: Shot, notebook: Notebook, theme: str, folder: Path) -> Path:
    """The shot in one theme."""
    notebook.theme(THEMES[theme])
    expect(notebook.page.locator(shot.selector)).to_be_visible()
    return notebook.screenshot(f"{shot.name}-{theme}", shot.selector, folder)


def main(folder: Path) -> None:
    """All shots, each into two PNG files of this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as home, chromium() as browser, Lab(Path(home)) as lab:
        for shot in SHOTS:
            light, dark = take(shot, lab, browser, folder)
            print(light, dark, flush=True)
            if shot.name in README:
                show_in_readme(light, shot.name)


def show_in_readme(path: Path, name: str) -> None:
    """A copy beside the notebooks, as a WebP file of a few ten kilobytes."""
    place = Path(__file__).parents[1] / "notebooks" / "screenshots" / f"{name}.webp"
    place.parent.mkdir(exist_ok=True)
    with Image.open(path) as image:
        image.convert("RGB").save(place, quality=80, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots"))
