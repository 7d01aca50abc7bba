"""Take the pictures of the widgets in JupyterLab's light and dark theme: `python tests/screenshots.py [FOLDER]`.

It starts its own JupyterLab and Chromium and runs each shot's cells on the embedded model; FOLDER is build/screenshots.
"""
from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from browser.lab import DARK, LIGHT, Notebook, chromium, expect, window
from browser.server import Lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

THEMES = {"light": LIGHT, "dark": DARK}
OUTPUT = ".jp-CodeCell >> nth=-1 >> .jp-OutputArea"  # what the last cell shows


@dataclass(frozen=True)
class Shot:
    """One picture: these cells are run, this is clicked, one after the other, and that is taken."""

    name: str
    cells: tuple[str, ...]
    clicks: tuple[str, ...] = ()  # Playwright's selectors
    selector: str = OUTPUT
    width: int = 1280  # of the window, in CSS pixels
    scale: float = 1


SHOTS = [
    Shot("image_grid", ("from sdlab import Request, image_grid, run, sweep",
                        "frame = run(sweep(Request(prompt='a hamster on a blue background'), guidance_scale=[0, 2, 7.5], seed=range(2)),"
                        " 'runs/grid')",
                        "image_grid(frame, row='seed', col='guidance_scale')"), selector=f"{OUTPUT} >> img"),
]


def take(shot: Shot, lab: Lab, browser: Browser, folder: Path) -> list[Path]:
    """The shot in each theme; a complaint of the page is an error."""
    with window(browser, width=shot.width, scale=shot.scale) as context:
        notebook = Notebook(lab, context, lab.write(shot.name, shot.cells))
        notebook.run_all()
        for click in shot.clicks:
            notebook.page.click(click)
        paths = [taken(shot, notebook, theme, folder) for theme in THEMES]
        if notebook.errors:
            raise RuntimeError(f"{shot.name}: " + "\n".join(notebook.errors))
    lab.reset()
    return paths


def taken(shot: Shot, notebook: Notebook, theme: str, folder: Path) -> Path:
    """The shot in one theme."""
    notebook.theme(THEMES[theme])
    expect(notebook.page.locator(shot.selector)).to_be_visible(timeout=20_000)
    return notebook.screenshot(f"{shot.name}-{theme}", shot.selector, folder)


def main(folder: Path) -> None:
    """All shots, each into two PNG files of this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as home, chromium() as browser, Lab(Path(home)) as lab:
        for shot in SHOTS:
            for path in take(shot, lab, browser, folder):
                print(path, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots"))
