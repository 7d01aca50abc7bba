"""How fast a gallery of 20,000 pictures is written, opened from disk, scrolled and searched, and what it holds beside SeedGrid.

    python tests/benchmarks/gallery.py [--cells N] [--speed PIXELS] [--no-widget]

The network is off. A frame is one of the compositor's while the wheel turns at that speed: on time, late or lost; "blank" ones show
a part that was not drawn yet. Without a graphics card all is drawn in software, and on a busy machine frames are lost to others, so
the processor time of the page's own thread stands beside it: script, layout and style are ours, all it did is Chromium's too.
Times of a search or a sort are processor time as well. Needs Chromium, 500 MB in the temporary folder, and about two minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pandas as pd
import psutil
from widgets import LARGE, fill, many, opened

sys.path.append(str(Path(__file__).parents[1]))  # for `browser`
from browser.frames import CATEGORIES, list_frames, trace_scroll
from browser.lab import chromium
from browser.server import Lab

from sdlab import write_gallery, write_report
from sdlab.store.store import Store

AXES = {"row": "prompt", "col": "seed"}
GUIDANCE = [1.0, 2.0, 4.0, 7.5]
SCROLLED = 4  # seconds
OURS = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PAINTED = """() => {
  const images = [...document.querySelectorAll(".cell img")];
  return images.length > 0 && images.every((image) => image.complete && image.naturalWidth > 0);
}"""
ACTS: dict[str, Callable[[Any], Any]] = {  # in this order: each begins where the last has ended
    "rows and columns dropped": lambda page: (choose(page, "rows", "—"), choose(page, "columns", "—")),
    "three words searched": lambda page: page.get_by_label("search").fill("hamster 7 photo"),
    "one picture searched": lambda page: page.get_by_label("search").fill("variant 123"),
    "search dropped": lambda page: page.get_by_label("search").fill(""),
    "sorted by a score": lambda page: choose(page, "sort by", "sharpness"),
    "downwards": lambda page: page.get_by_label("downwards").check(),
    "sorted by prompt": lambda page: choose(page, "sort by", "prompt"),
    "rows are prompts": lambda page: choose(page, "rows", "prompt"),
    "columns are seeds": lambda page: choose(page, "columns", "seed"),
    "columns are scores": lambda page: choose(page, "columns", "sharpness"),
    "columns dropped": lambda page: choose(page, "columns", "—"),
    "filtered": lambda page: (
        choose(page, "filter", "guidance_scale"),
        page.get_by_role("combobox", name="is", exact=True).select_option("3"),
    ),
}  # fmt: skip


def choose(page: Any, label: str, name: str) -> None:
    page.get_by_label(label).select_option(name)


def make_frame(root: Path, cells: int) -> pd.DataFrame:
    """So many pictures of prompts, guidance and seeds, with two measured columns."""
    store = Store(root / "store")
    fill(store)
    frame = many(store.frame(), root / "links", cells)
    rng, block = np.random.default_rng(1), np.arange(cells) // 25  # a block has 25 seeds
    frame["prompt"] = [f"a photograph of a hamster, variant {n}" for n in block // len(GUIDANCE)]
    frame["guidance_scale"] = [GUIDANCE[n] for n in block % len(GUIDANCE)]
    frame["sharpness"] = rng.random(cells)
    return frame.assign(objects_right=rng.random(cells) > 0.5)


def write_apart(write: Callable[..., Any], *given: Any, **more: Any) -> dict[str, float]:
    """What it takes to write something, in a process of its own, so that its memory is seen."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        return apart.submit(measure_writing, partial(write, *given, **more)).result()


def measure_writing(act: Callable[[], Any]) -> dict[str, float]:
    """Seconds, processor seconds, and by how many MB memory grew at most."""
    memory = psutil.Process().memory_info
    held, over = [memory().rss], Event()

    def watch() -> None:
        while not over.wait(0.01):
            held.append(memory().rss)

    watcher = Thread(target=watch)
    watcher.start()
    begun, busy = time.perf_counter(), time.process_time()
    act()
    spent = {"s": time.perf_counter() - begun, "CPU s": time.process_time() - busy}
    over.set()
    watcher.join()
    return spent | {"MB more": (max(held) - held[0]) / 1e6}


class Page:
    """A gallery that was opened, its numbers, and its process."""

    def __init__(self, browser: Any, place: Path) -> None:
        self.browser = browser
        self.page = browser.new_context(
            offline=True, viewport={"width": 1280, "height": 1000}
        ).new_page()
        self.session = self.page.context.new_cdp_session(self.page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.processes = browser.new_browser_cdp_session()
        self.empty = self.memory()
        begun = time.perf_counter()
        self.page.goto(place.as_uri())
        self.page.wait_for_function(PAINTED, polling="raf")
        self.page.evaluate(TWO_FRAMES)
        self.seconds = time.perf_counter() - begun

    def metrics(self) -> dict[str, float]:
        found = self.session.send("Performance.getMetrics")["metrics"]
        return {each["name"]: each["value"] for each in found}

    def memory(self) -> dict[str, float]:
        """MB of JavaScript, and of the process without what it shares."""
        self.session.send("HeapProfiler.collectGarbage")
        heap = self.metrics()["JSHeapUsedSize"] / 1e6
        return {"JS heap MB": heap, "private MB": private(self.processes)}

    def cost(self, act: Callable[[Any], Any]) -> dict[str, float]:
        """Processor ms of the page's thread, until all is painted."""
        before = self.metrics()
        act(self.page)
        self.page.wait_for_timeout(300)  # a search waits for the next letter
        self.page.wait_for_function(PAINTED.replace("images.length > 0 && ", ""), polling="raf")
        self.page.evaluate(TWO_FRAMES)
        after = self.metrics()
        spent = {name: 1000 * (after[name] - before[name]) for name in (*OURS, "TaskDuration")}
        return {
            "script": spent[OURS[0]],
            "layout, style": spent[OURS[1]] + spent[OURS[2]],
            "all": spent["TaskDuration"],
        }

    def scroll(self, speed: int) -> dict[str, float]:
        """The frames while the wheel turns, and what they cost the page's thread."""
        before = self.metrics()
        events = trace_scroll(self.browser, self.page, speed * SCROLLED, speed, CATEGORIES)
        after, frames = self.metrics(), list_frames(events)
        asked = [each for each in frames if each["state"] != "STATE_NO_UPDATE_DESIRED"]
        shown = [each for each in asked if each["state"] != "STATE_DROPPED"]
        times = [b["ms"] - a["ms"] for a, b in pairwise(shown)]
        ours = sum(after[name] - before[name] for name in OURS)
        return {
            "frames/s": len(shown) / SCROLLED,
            "median ms": statistics.median(times),
            "95 % ms": statistics.quantiles(times, n=20)[-1],
            "lost %": 100 * (1 - len(shown) / len(asked)),
            "blank %": 100 * sum(each["has_missing_content"] for each in shown) / len(shown),
            "by the page %": 100 * sum("MAIN" in each["scroll_state"] for each in asked) / len(asked),
            "ours, ms a frame": 1000 * ours / len(frames),
            "all, ms a frame": 1000 * (after["TaskDuration"] - before["TaskDuration"]) / len(frames),
        }  # fmt: skip


def private(processes: Any) -> float:
    """MB of the largest of Chromium's pages that no other process shares."""
    found = processes.send("SystemInfo.getProcessInfo")["processInfo"]
    pages = [psutil.Process(each["id"]) for each in found if each["type"] == "renderer"]
    return max(page.memory_full_info().uss for page in pages) / 1e6


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    head = list(next(iter(rows.values())))
    wide = [max(len(name), 7) + 2 for name in head]
    print(f"\n{title}\n{'':26}" + "".join(f"{name:>{n}}" for name, n in zip(head, wide)))
    for name, row in rows.items():
        told = "".join(f"{value:{n}.1f}" for value, n in zip(row.values(), wide))
        print(f"{name:26}{told}", flush=True)


def measure_page(browser: Any, name: str, place: Path, speed: int) -> dict[str, dict[str, float]]:
    """Prints how the gallery opens, scrolls and answers, and gives what it held."""
    page = Page(browser, place)
    print(f"\n{name}: {page.seconds:.2f} s from the address to its pictures")
    held = {"an empty page": page.empty, f"{name}, open": page.memory()}
    scrolls = {"rows and columns": page.scroll(speed)}
    acts = {act: page.cost(do) for act, do in ACTS.items()}
    page.page.reload()
    page.cost(ACTS["rows and columns dropped"])
    scrolls["one after another"] = page.scroll(speed)
    held[f"{name}, scrolled"] = page.memory()
    show(f"{name}: the wheel turned, {speed:,} pixels a second", scrolls)
    show(f"{name}: ms of the page's thread", acts)
    page.page.context.close()
    return held


def measure_widget(browser: Any, frame: Path) -> dict[str, dict[str, float]]:
    """What a notebook holds before the same cells are in a SeedGrid, and after."""
    with (
        Lab(Path(tempfile.mkdtemp(dir=frame.parent))) as lab,
        opened(lab, browser, frame, LARGE) as watched,
    ):

        def held() -> dict[str, float]:
            return {
                "JS heap MB": watched.used()["JS heap MB"],
                "private MB": private(watched.browser),
            }

        page, before = watched.notebook.page, held()
        watched.notebook.run(1)
        page.wait_for_function(PAINTED.replace(".cell", ".sdl-cell"))
        return {"a notebook": before, "SeedGrid in it, open": held()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, default=20_000, help="a multiple of 100")
    parser.add_argument("--speed", type=int, default=3000, help="pixels a second of the wheel")
    parser.add_argument("--no-widget", action="store_true", help="leaves out JupyterLab")
    given = parser.parse_args()
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        root = Path(place)
        frame = make_frame(root, given.cells)
        frame.to_pickle(root / "frame.pickle")
        print(f"{len(frame):,} cells; Chromium {browser.version}; {load}", flush=True)
        gallery, one, thousand = root / "gallery", root / "one.html", frame[:1000]
        show(
            "written",
            {
                "a folder": write_apart(write_gallery, gallery, frame, whole=False, **AXES),
                "one file": write_apart(write_gallery, one, frame, **AXES),
                "1,000, pictures whole": write_apart(write_gallery, root / "whole", thousand),
                "a report of 1,000": write_apart(
                    write_report, root / "r.html", "A thousand", thousand, gallery=False
                ),
            },
        )
        held = measure_page(browser, "a folder", gallery / "index.html", given.speed)
        held |= measure_page(browser, "one file", one, given.speed)
        if not given.no_widget:
            held |= measure_widget(browser, root / "frame.pickle")
        show("held", held)


if __name__ == "__main__":
    main()
