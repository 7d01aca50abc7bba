"""Times a store of 100,000 pictures: `python tests/benchmarks/store_100k.py [cells] [folder]`.

The pictures are real: 100,000 PNG files of 64x64 pixels, each with its own recipe, key and seed, made by putting each
cell's two text chunks into one encoded picture and written without fsync. All that is timed goes through `Store`.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import struct
import sys
import tempfile
import time
import warnings
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from sdlab.recipe.request import Recipe, key_of
from sdlab.store.infotext import write_infotext
from sdlab.store.png import ITXT_HEADER, embed_record, encode_json
from sdlab.store.store import Store, pixels

BASE = Recipe(
    prompt="a photograph of a hamster with a paintbrush, oil on canvas",
    weights="0123456789abcdef" * 2,
    scheduler="DDIMScheduler",
    num_inference_steps=20,
    guidance_scale=4.0,
    height=64,
    width=64,
)
GUIDANCE = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.5, 9.0, 12.0]


def make(root: Path, cells: int) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), "u1"))
    digest = pixels(image)
    for folder in range(256):
        (root / "images" / f"{folder:02x}").mkdir(parents=True)
    bare = embed_record(BASE, image, {})
    header, body = bare[:33], bare[bare.index(b"IDAT") - 4 :]
    for cell in range(cells):
        request = BASE.but(
            seed=cell // len(GUIDANCE), guidance_scale=GUIDANCE[cell % len(GUIDANCE)]
        ).to_dict()
        key = key_of(request)
        record = {"format": 1, "key": key, "request": request, "facts": facts(cell, digest)}
        text = chunk(b"iTXt", ITXT_HEADER + encode_json(record))
        text += chunk(b"tEXt", b"parameters\0" + write_infotext(request, "0.1.0").encode("latin-1"))
        (root / "images" / key[:2] / f"{key}.png").write_bytes(header + text + body)


def facts(cell: int, digest: str) -> dict:
    return {
        "seconds": 0.05 + cell % 7 / 100,
        "device": "cpu",
        "dtype": "float32",
        "threads": 2,
        "batch_size": 8,
        "memory_format": "contiguous_format",
        "nsfw": False,
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


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def timed(what: str, work):
    start, busy = time.perf_counter(), time.process_time()
    result = work()
    print(
        f"{time.perf_counter() - start:8.3f} s ({time.process_time() - busy:.3f} s of CPU)  {what}",
        flush=True,
    )
    return result


def main(cells: int, root: Path) -> None:
    print(
        f"{cells:,} pictures in {root}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, pandas "
        f"{pd.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    timed("make the files (not through the store)", lambda: make(root, cells))
    store = timed("open without an index: read all pictures", lambda: Store(root))
    timed("rebuild()", store.rebuild)
    store = timed("open", lambda: Store(root))
    frame = timed("frame(), all rows", store.frame)
    timed(
        "frame().query('guidance_scale == 7.5')",
        lambda: store.frame().query("guidance_scale == 7.5"),
    )
    found = timed("the query alone, on the frame", lambda: frame.query("guidance_scale == 7.5"))
    timed(f"frame(keys), {len(found):,} keys", lambda: store.frame(found["key"]))
    timed("finished(keys), all keys", lambda: store.find_finished(frame["key"]))
    timed(
        "seconds(...)",
        lambda: store.seconds(weights=BASE.weights, num_inference_steps=20, height=64, width=64),
    )
    size = (root / "index.sqlite").stat().st_size / 1e6
    print(f"{len(frame):,} rows, {len(found):,} in the query; the index is {size:.0f} MB")


if __name__ == "__main__":
    warnings.simplefilter("error")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    folder = Path(
        tempfile.mkdtemp(prefix="store-100k-", dir=sys.argv[2] if len(sys.argv) > 2 else None)
    )
    try:
        main(count, folder)
    finally:
        shutil.rmtree(folder)
