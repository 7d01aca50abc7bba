"""How fast SeedGrid shows 400 and 10,000 pictures in JupyterLab, next to a GridBox of ipywidgets.Image.

    python tests/benchmarks/widgets.py [--rounds N] [--largest CELLS]

All is measured in one run, in turn, each time in a fresh kernel and a fresh page; compare the ratios, not the seconds. The
pictures are PNG files of 512x512 pixels, each its own; 400 cells of 40 screen pixels are in sight. "Painted" is when all that
are in sight are decoded, and two frames later. Needs Chromium, 200 MB in the temporary folder, and about three minutes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from PIL import Image, ImageDraw

sys.path.append(str(Path(__file__).parents[1]))  # for `browser`
from browser.lab import Notebook, chromium, window
from browser.server import Lab

from sdlab.models.resolve import resolve
from sdlab.recipe.request import Recipe, Request
from sdlab.store.store import Store
from sdlab.widgets import SeedGrid

ROWS, COLUMNS, CELL, THUMBNAIL = (
    16,
    25,
    40,
    64,
)  # in sight; pixels on the screen; pixels of the WebP that SeedGrid sends for that
AIM_SECONDS, AIM_MB, PATIENCE = 2, 3, 90  # PATIENCE: seconds until a round counts as lost
BASE = resolve(Request(height=512, width=512))

READ = f"""
import pandas as pd
from sdlab.widgets import SeedGrid
frame = pd.read_pickle({{path!r}})
cell_px = {CELL}
"""
OURS = "grid = SeedGrid(frame, row='prompt', col='seed', cell_px=cell_px)\ngrid"
LARGE, IN_SIGHT = (
    "grid = SeedGrid(frame, row='prompt', col='seed')\ngrid",
    44,
)  # 5 rows, 11 columns, not all of them whole
THEIRS = f"""
import io
import ipywidgets
from PIL import Image

def thumbnail(path):
    file = io.BytesIO()
    with Image.open(path) as image:
        image = image.convert("RGB")
    image.thumbnail(({THUMBNAIL}, {THUMBNAIL}))
    image.save(file, "WEBP", quality=85, method=2)
    return file.getvalue()

size = ipywidgets.Layout(width=f"{{cell_px}}px", height=f"{{cell_px}}px")
boxes = [ipywidgets.Label("")] + [ipywidgets.Label(str(seed)) for seed in frame["seed"].unique()]
for prompt, row in frame.groupby("prompt", sort=False):
    boxes.append(ipywidgets.Label(prompt))
    boxes += [ipywidgets.Image(value=thumbnail(path), format="webp", layout=size) for path in row["path"]]
ipywidgets.GridBox(boxes, layout=ipywidgets.Layout(
    grid_template_columns=f"160px repeat({COLUMNS}, {{cell_px}}px)", grid_gap="4px"))
"""

PAGE = """
window.bench = (() => {
  const frame = () => new Promise(requestAnimationFrame);
  const moment = () => new Promise((done) => setTimeout(done, 30));   // to look at every frame would be work itself
  const inside = (a, b) => a.right > b.left && a.left < b.right && a.bottom > b.top && a.top < b.bottom;
  const pictures = (cell) => {
    const area = document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-OutputArea")[cell];
    const grid = area?.querySelector(".sdl-grid");
    if (!grid) return [...area?.querySelectorAll("img.widget-image") ?? []];
    const seen = grid.getBoundingClientRect();
    return [...grid.querySelectorAll(".sdl-cell")].filter((box) => inside(box.getBoundingClientRect(), seen))
      .map((box) => box.querySelector("img"));
  };
  const loaded = (img) => img.getAttribute("src") && img.complete && img.naturalWidth > 0;
  const painted = async (cell, count, seconds) => {         // -> ms, or null after that many seconds
    const begun = performance.now();
    for (let found = []; found.length < count || !found.every(loaded); found = pictures(cell)) {
      if (performance.now() - begun > 1000 * seconds) return null;
      await moment();
    }
    await Promise.all(pictures(cell).map((img) => img.decode().catch(() => null)));
    await frame();
    await frame();
    return performance.now() - begun;
  };
  const first = async (cell, count, seconds) => {
    const end = lab.run(cell, seconds + 30), ms = await painted(cell, count, seconds);
    if (ms === null) return null;
    const raised = await end;
    if (raised.length) throw new Error(raised.join("\\n"));
    return ms;
  };
  const scroll = async (cell, count, seconds) => {
    const begun = performance.now(), grid = document.querySelector(".sdl-grid");
    grid.scrollTop += grid.clientHeight - 80;
    await frame();
    await frame();                                          // it draws what came in sight in the first
    return (await painted(cell, count, seconds)) === null ? null : performance.now() - begun;
  };
  return { first, scroll };
})();
"""


# --- the pictures -----------------------------------------------------------------------------------------------------


def noise(rng: np.random.Generator, px: int = 512) -> np.ndarray:
    """Three fields whose amplitude falls with the frequency, as in photographs; of mean 0 and deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(px)[:, None], np.fft.rfftfreq(px)[None])
    frequency[0, 0] = 1
    fields = [
        np.fft.irfft2(np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency**1.5)
        for _ in range(3)
    ]
    return np.stack([(field - field.mean()) / field.std() for field in fields])


def photo(rng: np.random.Generator, fields: np.ndarray) -> Image.Image:
    """A picture like no other, about 400 kB as PNG: these fields anew against one another, and some discs."""
    light, blue, red = (np.roll(field, rng.integers(0, 512, 2), (0, 1)) for field in fields)
    channels = np.stack([45 * light + 15 * red, 45 * light, 45 * light + 15 * blue], -1)
    image = Image.fromarray(np.clip(128 + channels, 0, 255).astype("u1"))
    for x, y, radius in rng.integers(20, 492, (5, 3)).tolist():
        ImageDraw.Draw(image).circle((x, y), radius // 4, tuple(rng.integers(0, 255, 3).tolist()))
    return image


def fill(store: Store) -> None:
    """400 pictures as `run` saves them: 16 prompts and 25 seeds."""
    rng = np.random.default_rng(0)
    fields = noise(rng)
    for row in range(ROWS):
        for seed in range(COLUMNS):
            request = BASE.but(prompt=f"a photograph of a hamster, variant {row}", seed=seed)
            store.save(
                Recipe(**request.to_dict()),
                photo(rng, fields),
                {"seconds": 1.0, "device": "cpu", "dtype": "float32"},
            )


def many(frame: pd.DataFrame, folder: Path, cells: int) -> pd.DataFrame:
    """So many rows, each with a path of its own: 100 of the frame's files under other names, with other prompts."""
    folder.mkdir()
    rows = []
    for n in range(cells // COLUMNS):
        block = frame.iloc[n % 4 * COLUMNS : n % 4 * COLUMNS + COLUMNS].copy()
        block["prompt"] = f"a photograph of a hamster, variant {n}"
        block["key"] = [f"{n:08x}{seed:024x}" for seed in block["seed"]]
        paths = [folder / f"{key}.png" for key in block["key"]]
        for old, new in zip(block["path"], paths):
            os.link(old, new)
        block["path"] = pd.array(list(map(str, paths)), "string")
        rows.append(block)
    return pd.concat(rows, ignore_index=True)


# --- measuring --------------------------------------------------------------------------------------------------------


class Watched:
    """A notebook of which all is counted: what its kernel and its page use, and what the kernel sends."""

    def __init__(self, lab: Lab, context: Any, frame: Path, code: str) -> None:
        context.add_init_script(PAGE)
        context.on("page", lambda page: page.on("websocket", self._count))
        self.messages = self.bytes = 0
        self.notebook = Notebook(
            lab, context, lab.write(frame.stem, [READ.format(path=str(frame)), code])
        )
        self.notebook.run(0)
        self.kernel = psutil.Process(self.notebook.kernel("__import__('os').getpid()"))
        self.browser = context.browser.new_browser_cdp_session()
        self.page = context.new_cdp_session(self.notebook.page)
        self.page.send("Performance.enable")

    def _count(self, socket: Any) -> None:
        if "/channels" in socket.url:
            socket.on("framereceived", self._received)

    def _received(self, payload: str | bytes) -> None:
        self.messages += 1
        self.bytes += len(payload)

    def used(self) -> dict[str, float]:
        """What kernel and page hold now, and what the kernel sent until now: MB, and messages."""
        self.page.send("HeapProfiler.collectGarbage")
        metrics = {
            found["name"]: found["value"]
            for found in self.page.send("Performance.getMetrics")["metrics"]
        }
        return {
            "MB received": self.bytes / 1e6,
            "messages": self.messages,
            "kernel MB": self.kernel.memory_info().rss / 1e6,
            "page MB": self.renderer().memory_info().rss / 1e6,
            "JS heap MB": metrics["JSHeapUsedSize"] / 1e6,
        }

    def renderer(self) -> psutil.Process:
        """The process of the page, the largest of Chromium's renderers."""
        processes = self.browser.send("SystemInfo.getProcessInfo")["processInfo"]
        found = [
            psutil.Process(process["id"]) for process in processes if process["type"] == "renderer"
        ]
        return max(found, key=lambda process: process.memory_info().rss)

    def busy(self) -> dict[str, float]:
        """CPU seconds until now."""
        return {"kernel CPU s": cpu(self.kernel), "page CPU s": cpu(self.renderer())}

    def first_screen(self, cells: int) -> dict[str, float]:
        """What it takes from running the cell until all in sight, at least so many cells, is painted."""
        return self._cost(f"bench.first(1, {cells}, {PATIENCE})")

    def next_page(self, cells: int) -> dict[str, float]:
        return self._cost(f"bench.scroll(1, {cells}, {PATIENCE})")

    def _cost(self, script: str) -> dict[str, float]:
        used, busy = self.used(), self.busy()
        ms = self.notebook.page.evaluate(script)
        seconds = float("nan") if ms is None else ms / 1000
        return {"seconds": seconds, **grown(busy, self.busy()), **grown(used, self.used())}


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in before}


def cpu(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


@contextmanager
def opened(lab: Lab, browser: Any, frame: Path, code: str) -> Iterator[Watched]:
    with window(browser, width=1700, height=1300) as context:
        watched = Watched(lab, context, frame, code)
        yield watched
        if watched.notebook.errors:
            print("the page complained:", *watched.notebook.errors[:3], sep="\n  ")
    lab.reset()


# --- the table --------------------------------------------------------------------------------------------------------


def median(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Of the rounds that came to an end."""
    whole = [found for found in rounds if found["seconds"] == found["seconds"]] or rounds
    return {name: statistics.median(found[name] for found in whole) for name in whole[0]}


def show(title: str, *columns: tuple[str, dict[str, float]], ratio: bool = False) -> None:
    print(
        f"\n{title}\n{'':16}"
        + "".join(f"{name:>14}" for name, _ in columns)
        + f"{'ratio':>9}" * ratio
    )
    for name in columns[0][1]:
        found = [column[name] for _, column in columns]
        compared = f"{found[1] / found[0]:9.1f}" if ratio and found[0] > 0 else ""
        print(f"{name:16}" + "".join(f"{value:14.2f}" for value in found) + compared, flush=True)


def each(rounds: list[dict[str, float]]) -> str:
    return ", ".join(f"{found['seconds']:.2f}" for found in rounds)


def four_hundred(start: Callable[[str], Any], rounds: int) -> None:
    ours, theirs = [], []
    for _ in range(rounds):
        for code, costs in ((OURS, ours), (THEIRS, theirs)):
            with start(code) as watched:
                costs.append(watched.first_screen(ROWS * COLUMNS))
    show(
        f"{ROWS * COLUMNS} cells, all in sight (aim: {AIM_SECONDS} s, {AIM_MB} MB); medians of {rounds}",
        ("SeedGrid", median(ours)),
        ("GridBox", median(theirs)),
        ratio=True,
    )
    lost = sum(found["seconds"] != found["seconds"] for found in theirs)
    print(
        f"seconds of SeedGrid: {each(ours)}; of GridBox: {each(theirs)}; {lost} of GridBox's rounds never came to an end"
    )


def ten_thousand(start: Callable[[str], Any], cells: int) -> None:
    with start(LARGE) as watched:
        first = watched.first_screen(IN_SIGHT)
        pages = [watched.next_page(IN_SIGHT) for _ in range(10)]
    show(
        f"{cells:,} cells of 128 screen pixels (aim: {AIM_SECONDS} s), and each of ten pages further down",
        ("first screen", first),
        ("a page", median(pages)),
    )
    print(f"seconds of the ten pages: {each(pages)}")


def in_python(frame: pd.DataFrame) -> None:
    """What a large grid costs in the kernel alone: CPU seconds of this thread, the least of three."""
    grids, settings = [], itertools.cycle((1, 0))
    work: dict[str, Callable[[], Any]] = {
        "built": lambda: grids.append(SeedGrid(frame, row="seed")),
        "a slider moved": lambda: setattr(grids[-1], "where", [next(settings)]),
        "50 thumbnails": lambda: grids[-1]._cells.show_pictures(range(50), CELL),
        "its code": lambda: grids[-1].code,
    }
    print(f"\n{len(frame):,} cells in Python, CPU seconds")
    for name, act in work.items():
        tries = []
        for _ in range(3):
            begun = time.thread_time()
            act()
            tries.append(time.thread_time() - begun)
        print(f"{name:16}{min(tries):14.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="of 400 cells, with SeedGrid and with GridBox in turn"
    )
    parser.add_argument(
        "--largest", type=int, default=10_000, help="the number of cells of the large grid"
    )
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as place,
        chromium() as browser,
        Lab(Path(tempfile.mkdtemp(dir=place))) as lab,
    ):
        root, begun = Path(place), time.perf_counter()
        store = Store(root / "store")
        fill(store)
        frame = store.frame()
        frame.to_pickle(root / "few.pickle")
        large = many(frame, root / "links", arguments.largest)
        large.to_pickle(root / "many.pickle")
        size = frame["path"].map(os.path.getsize).mean() / 1000
        print(
            f"{len(frame)} pictures of {size:.0f} kB made in {time.perf_counter() - begun:.0f} s; {os.cpu_count()} cores, load "
            f"{os.getloadavg()[0]:.1f}",
            flush=True,
        )
        in_python(large)
        four_hundred(lambda code: opened(lab, browser, root / "few.pickle", code), arguments.rounds)
        ten_thousand(
            lambda code: opened(lab, browser, root / "many.pickle", code), arguments.largest
        )


if __name__ == "__main__":
    main()
