"""The same random weights, cells and steps through `run` and through others: seconds a cell and memory, in one run.

    python tests/benchmarks/peers.py [--small] [--size 512] [--steps 20] [--cells 4] [--only NAME ...] [--json peers.json]
        [--others PYTHON ...]

diffusers as its documentation has it, in bfloat16 with channels last, in its best eager batch, and compiled; `run`; ONNX
Runtime and OpenVINO through optimum, and stable-diffusion.cpp's Python package, on a processor. What is not installed is said
to be so, and is not missed: none of it is needed by sdlab (pip install optimum-onnx[onnxruntime] optimum-intel[openvino]
stable-diffusion-cpp-python, in environments of their own, whose Pythons --others names). Each is a process of its own, after a first cell that does not
count. Without --small the model has Stable Diffusion v1's size (2.1 GB on disk, 4 GB of memory in float32).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

PROMPT = "a photograph of a cat"
Cells = Callable[[int], Any]  # renders so many cells


def use_diffusers(given: argparse.Namespace, dtype: str, batch: int, compiled: bool) -> Cells:
    import diffusers
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(
        given.model, dtype=getattr(torch, dtype)
    ).to(device)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config)
    if dtype != "float32" and device == "cpu":
        pipe.unet.to(memory_format=torch.channels_last)
        pipe.vae.to(memory_format=torch.channels_last)
    if compiled:
        pipe.unet = torch.compile(pipe.unet)

    def render(cells: int) -> None:
        for start in range(0, cells, batch):
            seeds = range(start, start + batch)
            pipe(
                [PROMPT] * batch,
                num_inference_steps=given.steps,
                height=given.size,
                width=given.size,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            )

    return render


def use_run(given: argparse.Namespace) -> Cells:
    import warnings

    from sdlab import Request, run, sweep

    warnings.simplefilter("ignore")
    size = {"height": given.size, "width": given.size}
    cell = Request(
        model=given.model,
        prompt=PROMPT,
        num_inference_steps=given.steps,
        scheduler="DDIM",
        guidance_scale=7.5,
        **size,
    )

    def render(cells: int) -> None:
        plan = sweep(cell, seed=range(cells))
        run(plan, tempfile.mkdtemp(), progress=False, on_error="raise")

    return render


def use_optimum(given: argparse.Namespace, room: str, pipeline: str) -> Cells:
    import importlib

    made = getattr(importlib.import_module(room), pipeline).from_pretrained(
        given.model, export=True
    )
    return lambda cells: [
        made(PROMPT, num_inference_steps=given.steps, height=given.size, width=given.size)
        for _ in range(cells)
    ]


def use_stable_diffusion_cpp(given: argparse.Namespace) -> Cells:
    from stable_diffusion_cpp import StableDiffusion

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from originals import original
    from safetensors.torch import save_file

    file = f"{given.folder}/one.safetensors"
    if not Path(file).exists():
        save_file({k: v.contiguous() for k, v in original(Path(given.model), "v1").items()}, file)
    made = StableDiffusion(model_path=file, n_threads=os.cpu_count() or 1, verbose=False)
    how = dict(cfg_scale=7.5, sample_method="euler", sample_steps=given.steps)
    return lambda cells: [
        made.generate_image(prompt=PROMPT, width=given.size, height=given.size, seed=seed, **how)
        for seed in range(cells)
    ]


PEERS: dict[str, Callable[[argparse.Namespace], Cells]] = {
    "diffusers, as documented": partial(use_diffusers, dtype="float32", batch=1, compiled=False),
    "diffusers, bfloat16": partial(use_diffusers, dtype="bfloat16", batch=1, compiled=False),
    "diffusers, bfloat16, batch of 2": partial(
        use_diffusers, dtype="bfloat16", batch=2, compiled=False
    ),
    "diffusers, bfloat16, batch of 4": partial(
        use_diffusers, dtype="bfloat16", batch=4, compiled=False
    ),
    "diffusers, bfloat16, batch of 32": partial(
        use_diffusers, dtype="bfloat16", batch=32, compiled=False
    ),
    "diffusers, bfloat16, compiled": partial(
        use_diffusers, dtype="bfloat16", batch=1, compiled=True
    ),
    "run": use_run,
    "ONNX Runtime": partial(
        use_optimum, room="optimum.onnxruntime", pipeline="ORTStableDiffusionPipeline"
    ),
    "OpenVINO": partial(use_optimum, room="optimum.intel", pipeline="OVStableDiffusionPipeline"),
    "stable-diffusion.cpp": use_stable_diffusion_cpp,
}
LARGE = 32  # cells
MISSING = "not installed"
ALONE = {**os.environ}  # as it is before sdlab comes in, which others are not to gain by
OTHERS = list(PEERS)[-3:]  # which want other versions of diffusers and transformers


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """One peer, in this process: seconds a cell, those of getting ready, and the most memory taken."""
    begun = time.perf_counter()
    render = PEERS[given.line](given)
    render(1)
    ready = time.perf_counter()
    render(given.cells)
    seconds = (time.perf_counter() - ready) / given.cells
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": seconds, "ready": ready - begun, "peak_gb": peak}


def ask(given: argparse.Namespace, name: str) -> dict[str, Any]:
    """Has a peer measured in a process of its own, by the first Python that has it."""
    rows = [
        ask_python(python, given, name)
        for python in (given.others if name in OTHERS else [sys.executable])
    ]
    return next((row for row in rows if not row.get("error", "").startswith(MISSING)), rows[-1])


def ask_python(python: str, given: argparse.Namespace, name: str) -> dict[str, Any]:
    """Has a peer measured by a Python."""
    command = [python, __file__, "--line", name, "--model", given.model]
    command += ["--folder", given.folder]
    for option in ("size", "steps", "cells"):
        command += [f"--{option}", str(getattr(given, option))]
    answer = subprocess.run(command, capture_output=True, text=True, env=ALONE)
    if answer.returncode == 0:
        return {"who": name, **json.loads(answer.stdout.splitlines()[-1])}
    lines = answer.stderr.strip().splitlines() or ["no message"]
    last = next((line for line in reversed(lines) if "Error" in line), lines[-1])  # hints follow
    missing = "ModuleNotFoundError" in last or "ImportError" in last
    return {"who": name, "error": f"{MISSING} ({last})" if missing else last[:300]}


def choose_model(given: argparse.Namespace) -> None:
    """Sets the model's folder: the one that was named, the embedded one, or one that is made."""
    if given.small:
        from sdlab import MODELS

        given.model, given.size = str(MODELS["tiny-v1"].path), 64
    elif given.model is None:
        from rendering import write_real_size

        given.model = f"{given.folder}/model"
        write_real_size(given.model, half=True)


def write_table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table in Markdown, the quickest first."""
    done = sorted((row for row in rows if "seconds" in row), key=lambda row: row["seconds"])
    lines = ["| who | seconds a cell | times as fast | memory, GB |", "|---|---|---|---|"]
    first = next((row["seconds"] for row in done if row["who"] == next(iter(PEERS))), None)
    for row in done:
        times = f"{first / row['seconds']:.2f}" if first else ""
        lines.append(f"| {row['who']} | {row['seconds']:.2f} | {times} | {row['peak_gb']:.2f} |")
    return "\n".join(
        [*lines, *(f"| {r['who']} | {r['error']} | | |" for r in rows if "error" in r)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--small", action="store_true", help="the embedded model, to try the program"
    )
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cells", type=int, default=4, help="a multiple of 4")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PEERS,
        help=f"by default all, and batches of {LARGE} if there are as many cells",
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--model", help="a folder; by default one is made")
    parser.add_argument(
        "--others",
        nargs="+",
        default=[sys.executable],
        help=f"Pythons that have {', '.join(OTHERS)}",
    )
    for hidden in ("line", "folder"):
        parser.add_argument(f"--{hidden}", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.line:
        return print(json.dumps(measure(given)))
    rows = []
    with tempfile.TemporaryDirectory() as given.folder:
        choose_model(given)
        large = given.cells >= LARGE
        for name in given.only or [
            name for name in PEERS if large or not name.endswith(f"{LARGE}")
        ]:
            rows.append(ask(given, name))
            print(rows[-1], flush=True)
    print(f"\n{write_table(rows)}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))
    return None


if __name__ == "__main__":
    main()
