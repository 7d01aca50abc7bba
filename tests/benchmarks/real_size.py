"""A model of Stable Diffusion v1's real size: time of a cell against diffusers' default call, memory of each `memory=`.

    python tests/benchmarks/real_size.py [folder] [--steps 20] [--sizes 512 768] [--levels auto low lowest] [--json results.json]

The weights are random (UNet 859.52 M, VAE 83.65 M, CLIP-L 123.06 M), 2.1 GB on disk in float16; they are made once in the
folder, or in a temporary one that is deleted. Every line of the table is a process of its own, alone on the machine: compare
ratios, not seconds. With fewer steps, the time of 20 follows from that of a step, which is constant. diffusers' default is
float32; the scheduler is the model's own (PNDM, which calls the UNet once more than it has steps).

Peak memory is the most that the process held, with Python and its libraries ("resident"), and that without the pages of
files, which a system takes back when it needs them ("anonymous", looked at every 10 ms).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

FULL = 20  # steps of the cell that is reported
PROMPT = "a photograph of a cat"
COLUMNS = (
    "who",
    "size",
    "dtype",
    "lanes",
    "threads",
    "seconds",
    "step",
    "decode",
    "load",
    "resident",
    "anonymous",
)


def stated(name: str) -> int:
    """A line of Linux' /proc/self/status, in bytes."""
    return (
        int(re.search(rf"^{name}:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)[1])
        * 1024
    )


@contextmanager
def watched(found: dict):
    """Notes the most memory taken meanwhile."""
    ended, most = threading.Event(), [0]

    def look() -> None:
        while not ended.wait(0.01):
            most[0] = max(most[0], stated("RssAnon"))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        found.update(resident=stated("VmHWM"), anonymous=most[0])


class Clock:
    """Seconds inside the forwards of some networks, over all threads, and how often they were called."""

    def __init__(self, **parts) -> None:
        self.seconds, self.calls, self._begun, self._lock = (
            dict.fromkeys(parts, 0.0),
            dict.fromkeys(parts, 0),
            {},
            threading.Lock(),
        )
        for name, part in parts.items():
            part.register_forward_pre_hook(
                lambda *_, name=name: self._begun.__setitem__(
                    (name, threading.get_ident()), time.perf_counter()
                )
            )
            part.register_forward_hook(lambda *_, name=name: self._count(name))

    def _count(self, name: str) -> None:
        with self._lock:
            self.seconds[name] += time.perf_counter() - self._begun[name, threading.get_ident()]
            self.calls[name] += 1

    def cell(self, wall: float, cells: int, at_once: int, steps: int) -> dict:
        """Seconds of one cell of `FULL` steps, of a step and of a decode, from a run of `steps`."""
        unet, decode = (self.seconds[name] / at_once for name in ("unet", "decoder"))
        return {
            "seconds": (wall - unet + unet * (FULL + 1) / (steps + 1)) / cells,
            "step": unet / (steps + 1) / cells,
            "decode": decode / cells,
        }


def through_diffusers(folder: str, size: int, steps: int) -> dict:
    """`pipe(prompt)`, as diffusers' documentation does it."""
    import torch
    from diffusers import StableDiffusionPipeline

    begun = time.perf_counter()
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    load = time.perf_counter() - begun
    pipe.set_progress_bar_config(disable=True)
    clock, begun = Clock(unet=pipe.unet, decoder=pipe.vae.decoder), time.perf_counter()
    pipe(
        PROMPT,
        num_inference_steps=steps,
        guidance_scale=7.5,
        height=size,
        width=size,
        generator=torch.Generator().manual_seed(0),
    )
    wall = time.perf_counter() - begun
    return {
        "dtype": "float32",
        "lanes": 1,
        "threads": torch.get_num_threads(),
        "load": load,
        **clock.cell(wall, 1, 1, steps),
    }


def through_run(folder: str, size: int, steps: int, memory: str) -> dict:
    """As many cells as are rendered side by side, through `run` into an empty store."""
    import warnings

    import sdlab.models.pipeline
    from sdlab import Request, run, sweep
    from sdlab.models.resolve import native
    from sdlab.render.batch_size import count_together

    warnings.simplefilter("ignore", UserWarning)  # of the size
    begun = time.perf_counter()
    loaded = sdlab.models.pipeline.load(native(folder), memory=memory)
    load, clock = (
        time.perf_counter() - begun,
        Clock(unet=loaded.pipe.unet, decoder=loaded.pipe.vae.decoder),
    )
    how = {
        "dtype": loaded.dtype,
        "lanes": (at_once := loaded.lanes),
        "threads": loaded.threads,
        "load": load,
    }
    cells = at_once * (
        count_together(size // 8, size // 8, loaded.threads) if memory == "auto" else 1
    )
    del loaded  # `run` may let parts of it go
    cell = Request(
        model=folder,
        prompt=PROMPT,
        num_inference_steps=steps,
        guidance_scale=7.5,
        height=size,
        width=size,
    )
    begun = time.perf_counter()
    frame = run(
        sweep(cell, seed=range(cells)),
        tempfile.mkdtemp(),
        memory=memory,
        progress=False,
        on_error="raise",
    )
    wall = time.perf_counter() - begun
    if frame["rerun"].notna().any() or set(frame["memory"]) != {memory}:
        raise RuntimeError(
            f"this was not what was asked for: {frame[['rerun', 'memory', 'dtype']].iloc[0].to_dict()}"
        )
    return how | clock.cell(wall, cells, at_once, steps)


def measured(who: str, folder: str, size: int, steps: int) -> dict:
    """One line of the table, in a process of its own."""
    answer = subprocess.run(
        [
            sys.executable,
            __file__,
            folder,
            "--line",
            who,
            "--sizes",
            str(size),
            "--steps",
            str(steps),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    if answer.returncode:
        return {"who": who, "size": size, "error": answer.returncode}
    return {"who": who, "size": size, **json.loads(answer.stdout.splitlines()[-1])}


def line(who: str, folder: str, size: int, steps: int) -> None:
    """What such a process does."""
    found: dict = {}
    with watched(found):
        found |= (
            through_diffusers(folder, size, steps)
            if who == "diffusers"
            else through_run(folder, size, steps, who)
        )
    print(json.dumps(found))


def table(rows: list[dict]) -> str:
    """The rows as text, memory in GB, and each cell's time as a part of diffusers'."""
    plain = {
        row["size"]: row["seconds"]
        for row in rows
        if row["who"] == "diffusers" and "seconds" in row
    }
    out = [f"{'':10}" + "".join(f"{name:>10}" for name in (*COLUMNS[1:], "times as fast"))]
    for row in rows:
        values = [
            f"{row[name] / 1e9:.2f}"
            if name in ("resident", "anonymous")
            else f"{row[name]:.2f}"
            if isinstance(row[name], float)
            else str(row[name])
            for name in COLUMNS[1:]
            if name in row
        ]
        if "seconds" in row and row["size"] in plain:
            values.append(f"{plain[row['size']] / row['seconds']:.2f}")
        out.append(f"{row['who']:10}" + "".join(f"{value:>10}" for value in values))
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", help="of the model; made if it is not there, and kept")
    parser.add_argument("--steps", type=int, default=FULL)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 768])
    parser.add_argument(
        "--levels", nargs="+", default=["auto", "low", "lowest"], choices=["auto", "low", "lowest"]
    )
    parser.add_argument("--without-diffusers", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--line", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.line:
        return line(given.line, given.folder, given.sizes[0], given.steps)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or f"{temporary}/model"
        if not (Path(folder) / "model_index.json").exists():
            from rendering import write_real_size

            write_real_size(folder, half=True)
        who = [*["diffusers"] * (not given.without_diffusers), *given.levels]
        rows = []
        for size in given.sizes:
            for each in who:
                rows.append(measured(each, folder, size, given.steps))
                print(rows[-1], flush=True)
    print(
        f"a cell of {FULL} steps, from {given.steps}; seconds for a cell, a step and a decode; GB\n{table(rows)}"
    )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
