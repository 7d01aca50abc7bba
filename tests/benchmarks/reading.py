"""Times `read_pictures` beside listing and opening: `python tests/benchmarks/reading.py [files] [folder]`.

The pictures are PNG files of 512x512 pixels of noise and drawings as A1111, ComfyUI and InvokeAI write them. What is
asked for: no less than half the speed of listing the folder and opening each file with Pillow.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from foreign import INFOTEXT, add_chunk, change, graph_of
from PIL import Image

from sdlab.store.readers.folder import read_pictures

INVOKE = {
    "positive_prompt": "an owl",
    "seed": 7,
    "steps": 30,
    "cfg_scale": 7.5,
    "scheduler": "dpmpp_2m_k",
}


def write_pictures(folder: Path, count: int) -> None:
    """Writes pictures of three programs, each with its own seed; the pixels are one picture's."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    plain = folder / "plain.png"
    Image.fromarray(pixels).resize((512, 512), Image.Resampling.BICUBIC).save(plain)
    for n in range(count):
        texts = (
            ("parameters", INFOTEXT.replace("Seed: 5", f"Seed: {n}").replace("64x96", "512x512")),
            ("prompt", json.dumps(change(graph_of(), "3", seed=n))),
            ("invokeai_metadata", json.dumps(INVOKE | {"seed": n})),
        )
        name, text = texts[n % 3]
        path = folder / f"{n:06}.png"
        path.write_bytes(plain.read_bytes())
        add_chunk(path, b"tEXt", f"{name}\0{text}".encode())
    plain.unlink()


def open_all(folder: Path) -> int:
    """Lists the folder and opens each file, as who looks for pictures does at least."""
    count = 0
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            count += image.width > 0
    return count


def measure(count: int, folder: Path) -> None:
    """Prints the best of three times of both."""
    write_pictures(folder, count)
    opening, reading = [], []
    for _ in range(3):
        start = time.perf_counter()
        assert open_all(folder) == count
        middle = time.perf_counter()
        frame = read_pictures(folder, progress=False)
        reading.append(time.perf_counter() - middle)
        opening.append(middle - start)
        assert frame["seed"].notna().all() and len(frame) == count
    share = min(opening) / min(reading)
    print(
        f"{count} files: opened in {min(opening):.2f} s, read in {min(reading):.2f} s, {share:.2f} of the speed"
    )


if __name__ == "__main__":
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    if len(sys.argv) > 2:
        measure(files, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as place:
            measure(files, Path(place))
