"""Times what touches a whole store: `python tests/benchmarks/store_100k.py [cells ...] [--folder PLACE] [--built]`.

By default stores of 1,000, 10,000 and 100,000 pictures. The pictures are real, but small: PNG files of 64x64 pixels of
one colour, each with its own recipe, key and seed, made by putting each cell's two text chunks into one encoded picture
and written without fsync. All that is timed goes through public names. Each line tells seconds by the clock, seconds
of processor time, and how much memory the step took at most beyond what was held before it. With `--built`, which makes a
million in minutes, the index is filled by hand and the files are links to a few, of another recipe: what reads rows or
pixels does what it does elsewhere. At the end it tells what took more than 11 times as long, or as much, as with the
number of cells before, a tenth of these.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from sdlab import Job, Request, Store, image_grid, preview, run, sweep, write_report
from sdlab.models.resolve import native, resolve
from sdlab.pictures import hash_pixels
from sdlab.recipe.request import Recipe
from sdlab.render import batches
from sdlab.render.denoise import Cancelled
from sdlab.render.plan import resolve_all
from sdlab.store.index import INSERT, make_tables, open_database, pack_record
from sdlab.store.infotext import write_infotext
from sdlab.store.png import ITXT_HEADER, embed_record, encode_json
from sdlab.widgets import SeedGrid

PROMPT = "a {colour=red|green|blue|yellow|black|white|brown|pink|grey|orange} circle left of a cat"
GUIDANCE = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.5, 9.0, 12.0]
FIRST_SCREEN = 44  # cells, 5 rows of 11 columns and a bit
REPORTED = 100_000  # cells at most in a report, which holds each picture


def combine(cells: int) -> Any:
    return sweep(Request(prompt=PROMPT), seed=range(cells // 100), guidance_scale=GUIDANCE)


def make(root: Path, requests: Any) -> None:
    image = Image.new("RGB", (64, 64), "teal")
    digest, own = hash_pixels(image), native(requests[0].model)
    for folder in range(256):
        (root / "images" / f"{folder:02x}").mkdir(parents=True)
    bare = embed_record(resolve(requests[0], own), image, {})
    header, body = bare[:33], bare[bare.index(b"IDAT") - 4 :]
    for cell, request in enumerate(requests):
        recipe = resolve(request, own)
        text = record_chunks(recipe, list_facts(cell, digest))
        path = root / "images" / recipe.key[:2] / f"{recipe.key}.png"
        path.write_bytes(header + text + body)


def build(root: Path, requests: Any) -> None:
    """Makes a store with a row of its own for each cell, whose files are links to a few."""
    image, own = Image.new("RGB", (64, 64), "teal"), native(requests[0].model)
    for folder in range(256):
        (root / "images" / f"{folder:02x}").mkdir(parents=True)
    recipes = resolve_all(list(requests), {requests[0].model: own})
    data, digest = embed_record(recipes[0], image, {}), hash_pixels(image)
    with closing(open_database(str(root / "index.sqlite"))) as db, db:
        make_tables(db, root / "index.sqlite")
        for cell, recipe in enumerate(recipes):
            path = root / "images" / recipe.key[:2] / f"{recipe.key}.png"
            if cell % 50_000 == 0:  # a file has 65,000 links at most
                first = path
                first.write_bytes(data)
            else:
                os.link(first, path)
            facts = list_facts(cell, digest)
            record = {"key": recipe.key, "request": recipe.to_dict(), "facts": facts}
            db.execute(INSERT, pack_record(record, len(data)))


def record_chunks(recipe: Recipe, facts: dict[str, Any]) -> bytes:
    request = recipe.to_dict()
    record = {"format": 1, "key": recipe.key, "request": request, "facts": facts}
    said = write_infotext(request, "0.1.0").encode("latin-1")
    own = write_chunk(b"iTXt", ITXT_HEADER + encode_json(record))
    return own + write_chunk(b"tEXt", b"parameters\0" + said)


def list_facts(cell: int, digest: str) -> dict[str, Any]:
    return {
        "task": "txt2img",
        "seconds": 0.05 + cell % 7 / 100,
        "device": "cpu",
        "dtype": "float32",
        "threads": 2,
        "batch_size": 8,
        "memory_format": "contiguous_format",
        "nsfw": False,
        "guidance_norm": 10 + cell % 1009 / 100,
        "created": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=cell)).isoformat(
            timespec="microseconds"
        ),
        "pixels": digest,
        "sdlab_version": "0.1.0",
        "torch_version": "2.9.0",
        "diffusers_version": "0.35.0",
        "transformers_version": "4.57.0",
        "python_version": "3.11.7",
        "machine": "x86_64, 2 cores",
    }


def write_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read_memory(peak: bool) -> float:
    """Reads what this process holds in MB, or held at most since the last call without `peak`."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        names = dict(line.split(":", 1) for line in lines)
        if not peak:
            Path("/proc/self/clear_refs").write_text("5")
        return int(names["VmHWM" if peak else "VmRSS"].split()[0]) / 1024
    except OSError:  # not Linux: the most so far
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


taken: dict[str, tuple[float, float]] = {}  # {what: (seconds of processor time, MB)}


def measure(what: str, work: Callable[[], Any]) -> Any:
    held, start, busy = read_memory(False), time.perf_counter(), time.process_time()
    result = work()
    clock, used = time.perf_counter() - start, time.process_time() - busy
    taken[what] = used, read_memory(True) - held
    print(f"{clock:9.3f} s {used:9.3f} s {taken[what][1]:7.0f} MB  {what}", flush=True)
    return result


def begin(requests: Any, root: Path) -> None:
    """Does all that `run` does before it loads a model."""

    def end(*_: Any) -> None:
        raise Cancelled

    kept, batches.Lanes._render_group = batches.Lanes._render_group, end  # type: ignore
    try:
        Job(requests, root, progress=False).wait()
    finally:
        batches.Lanes._render_group = kept  # type: ignore


def open_grid(frame: pd.DataFrame) -> SeedGrid:
    """Opens the widget, with all that its page is sent until its first screen stands."""
    grid = SeedGrid(frame)
    sent: list[Any] = []
    grid.send = lambda content, buffers=None: sent.append(buffers)  # type: ignore
    size = len(json.dumps(grid.get_state(), default=str))
    grid._on_want({"id": 1, "cells": list(range(FIRST_SCREEN)), "px": 128}, [])
    while not sent:
        time.sleep(0.01)
    print(f"{'':33}the page is sent {size / 1e6:.1f} MB at first", flush=True)
    return grid


def measure_store(cells: int, root: Path, built: bool) -> None:
    print(f"\n{cells:,} pictures: clock, processor time, memory at most", flush=True)
    measure("preview of one request: what is loaded once", lambda: preview(Request(), root / "0"))
    requests = measure("sweep", lambda: combine(cells))
    measure("preview, nothing is finished", lambda: preview(requests, root / "1"))
    measure("run begins, nothing is finished", lambda: begin(requests, root / "2"))
    if built:
        measure("(build the index, and links)", lambda: build(root / "3", requests))
    else:
        measure("(make the files, not through the store)", lambda: make(root / "3", requests))
        measure("open without an index: all pictures are read", lambda: Store(root / "3"))
    store = measure("open", lambda: Store(root / "3"))
    measure("preview, all is finished", lambda: preview(requests, store))
    results = measure("run, all is finished", lambda: run(requests, store, progress=False))
    frame = measure("frame()", store.frame)
    found = measure("frame().query(...)", lambda: store.frame().query("guidance_scale == 7.5"))
    measure("frame(keys), a tenth", lambda: store.frame(found["key"]))
    measure_results(results, root)
    size = (root / "3" / "index.sqlite").stat().st_size / 1e6
    print(f"{len(frame):,} rows, {len(found):,} in the query; the index has {size:.0f} MB")


def measure_results(results: pd.DataFrame, root: Path) -> None:
    grid = measure("SeedGrid, its first screen", lambda: open_grid(results))
    measure("SeedGrid, the picture that a notebook keeps", grid.static)
    crossed = dict(row=["colour", "seed"], col="guidance_scale", title="")
    figure = measure("image_grid, its first page", lambda: image_grid(results, **crossed))
    measure("image_grid, its last page", lambda: image_grid(results, page=figure.pages, **crossed))
    measure("image_grid, in order", lambda: image_grid(results))
    if len(results) > REPORTED:
        return print(
            f"write_report: left out, as a report holds each picture, here {len(results):,}"
        )
    measure("write_report", lambda: write_report(root / "report.html", "Report", results, figure))


def tell_growth(before: dict[str, list[float]], now: dict[str, list[float]]) -> None:
    """Tells what grows faster than its input of ten times as many cells; trifles are left out."""
    for what in before.keys() & now.keys():
        for (unit, trifle), small, large in zip(
            (("s of processor time", 0.05), ("MB", 10.0)), before[what], now[what]
        ):
            if large > 11 * max(small, trifle):
                print(f"grows: {what}, from {small:.2f} to {large:.2f} {unit}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cells", nargs="*", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--folder")
    parser.add_argument("--built", action="store_true", help="an index, with links as files")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.here:  # each in a process of its own
        print(
            f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, pandas"
            f" {pd.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        more = [*(["--folder", given.folder] if given.folder else []), *["--built"] * given.built]
        before: dict[str, list[float]] = {}
        for cells in given.cells:
            said = [sys.executable, __file__, str(cells), "--here", *more]
            with subprocess.Popen(said, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout or ():
                    print(line, end="", flush=True) if line[0] != "{" else None
                now = json.loads(line)
            tell_growth(before, now)
            before = now
        return
    root = Path(tempfile.mkdtemp(prefix="store-100k-", dir=given.folder))
    try:
        measure_store(given.cells[0], root, given.built)
        print(json.dumps(taken))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    warnings.simplefilter("error")
    with suppress(KeyboardInterrupt):
        main()
