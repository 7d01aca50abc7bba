"""`run` on a graphics card beside diffusers' best eager batch, the bare UNet and the bare VAE: one run, at most 300 s there.

    python tests/benchmarks/card.py [--small] [--device cuda] [--seconds 300] [--json card.json]

Without --small: Stable Diffusion v1's size with random weights, 512x512, 20 steps, float16, 64 cells. With it: the embedded
model and few steps, on any device, which shows that this program runs, and no more. A part that does not fit into the time
is left out, and says so; one that fails says why, and the others go on. Everything is measured in one process: compare the
figures of one run, not of two.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

import sdlab.models.pipeline
from sdlab import Request, run, sweep
from sdlab.models.machine import describe_device, finish_calls
from sdlab.models.memory import LEVELS, has_own_memory
from sdlab.models.quiet import silence_libraries
from sdlab.models.resolve import native

PROMPT = "a photograph of a cat"
TARGETS = {  # (figure, figure that it is divided by): what it is to be at most
    ("run, as it chooses", "diffusers, best eager batch"): 1.05,
    ("run, compiled", "diffusers, best eager batch"): 0.8,
    ("run outside of UNet and VAE", "run, as it chooses"): 0.03,
}


@dataclass
class Card:
    """What is measured on, and the seconds a cell found so far, by their names."""

    device: str
    model: str
    cell: Request
    cells: int
    batches: tuple[int, ...]
    end: float
    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, seconds: float, **facts: Any) -> None:
        self.seconds[name], self.facts[name] = seconds, facts
        print(f"{name:44}{seconds:9.4f} s a cell  {facts or ''}", flush=True)

    def time(self, work: Callable[[], Any]) -> tuple[float, Any]:
        finish_calls(self.device)
        begun = time.perf_counter()
        out = work()
        finish_calls(self.device)
        return time.perf_counter() - begun, out

    def empty(self) -> None:
        """Forgets the loaded model, and begins to count the memory anew."""
        sdlab.models.pipeline.unload()
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> float | None:
        """GB, of a card."""
        cuda = self.device.startswith("cuda")
        return round(torch.cuda.max_memory_allocated() / 1e9, 3) if cuda else None

    def render(self, cells: int, first: int = 0, **how: Any) -> tuple[float, Any]:
        """Seconds and the frame of so many cells through `run` into an empty store."""
        plan = sweep(self.cell, seed=range(first, first + cells))
        out = partial(run, plan, tempfile.mkdtemp(), device=self.device, progress=False, **how)
        return self.time(out)


def measure_run(card: Card) -> None:
    """As it chooses by itself, warm; and what of it is spent outside of UNet and VAE."""
    card.empty()
    cold, _ = card.render(card.cells, 1000)
    seconds, frame = card.render(card.cells)
    chosen = {name: frame[name].tolist()[0] for name in ("batch_size", "dtype", "memory_format")}
    failed = int(frame["error"].notna().sum())
    card.note(
        "run, as it chooses", seconds / card.cells, **chosen, failed=failed, peak_gb=card.peak()
    )
    card.note("run, cold, with loading and measuring", cold / card.cells)
    measure_bare(card, int(chosen["batch_size"]))
    bare = card.seconds["bare UNet"] + card.seconds["bare VAE"]
    card.note("run outside of UNet and VAE", seconds / card.cells - bare)


@torch.inference_mode()
def measure_bare(card: Card, cells: int) -> None:
    """UNet and VAE alone, in the batch and the formats that `run` took; and in the other memory format."""
    (loaded,) = sdlab.models.pipeline._loaded.values()
    pipe, steps = loaded.pipe, card.cell.num_inference_steps
    side = (card.cell.height or pipe.unet.config.sample_size * pipe.vae_scale_factor) // (
        pipe.vae_scale_factor
    )
    fill = partial(torch.randn, dtype=pipe.unet.dtype, device=card.device)
    x, text = (
        fill(2 * cells, 4, side, side),
        fill(2 * cells, 77, pipe.unet.config.cross_attention_dim),
    )
    decoded = max(1, min(cells, 4 * 512 * 512 // (side * pipe.vae_scale_factor) ** 2))

    def call_unet() -> None:
        for _ in range(4):
            pipe.unet(x, 500, encoder_hidden_states=text, return_dict=False)

    def note(name: str, order: str) -> None:
        call_unet()
        seconds, _ = card.time(call_unet)
        card.note(name, seconds / 4 * steps / cells, rows=2 * cells, memory_format=order)

    note("bare UNet", loaded.memory_format)
    decode = partial(pipe.vae.decode, x[:decoded], return_dict=False)
    decode()
    card.note("bare VAE", card.time(decode)[0] / decoded, rows=decoded)
    other = {"channels_last": "contiguous_format", "contiguous_format": "channels_last"}
    order = other[loaded.memory_format]
    pipe.unet.to(memory_format=getattr(torch, order))
    note("bare UNet, the other memory format", order)
    card.empty()


def measure_diffusers(card: Card, *, compiled: bool = False) -> None:
    """diffusers' own call with lists of prompts: each batch, and the best of them."""
    import diffusers

    card.empty()
    half = torch.float16 if has_own_memory(card.device) else torch.float32
    with silence_libraries():
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(card.model, dtype=half)
        pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.to(card.device).set_progress_bar_config(disable=True)
    best = card.facts.get("diffusers, best eager batch", {}).get("batch")
    if compiled:
        pipe.unet = torch.compile(pipe.unet)
    found = {}
    for batch in (best or max(card.batches),) if compiled else card.batches:
        call = partial(
            pipe,
            [PROMPT] * batch,
            num_inference_steps=card.cell.num_inference_steps,
            guidance_scale=7.5,
            generator=[torch.Generator().manual_seed(i) for i in range(batch)],
        )
        first, _ = card.time(call)
        found[batch] = card.time(call)[0] / batch
        if compiled:
            return card.note(
                "diffusers, compiled", found[batch], batch=batch, first=round(first, 1)
            )
        card.note(f"diffusers, batch of {batch}", found[batch])
    best = min(found, key=found.__getitem__)
    return card.note("diffusers, best eager batch", found[best], batch=best)


def measure_compiled(card: Card) -> None:
    """`run` with the UNet compiled, the second time."""
    card.empty()
    first, _ = card.render(card.cells, 1000, compile=True)
    seconds, frame = card.render(card.cells, compile=True)
    card.note(
        "run, compiled",
        seconds / card.cells,
        first=round(first, 1),
        compiled=bool(frame["compiled"].all()),
    )


def measure_levels(card: Card) -> None:
    """Each level of `memory=`: two cells of eight steps, and the most memory taken."""
    short = Card(card.device, card.model, card.cell.but(num_inference_steps=8), 2, (), card.end)
    for memory in LEVELS:
        card.empty()
        short.render(1, 1000, memory=memory)
        if card.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats()
        seconds, frame = short.render(2, memory=memory)
        used = frame["memory"].iloc[0]
        card.note(f"memory={memory!r}, 8 steps", seconds / 2, used=used, peak_gb=card.peak())


def measure_embedded(card: Card) -> None:
    """256 cells of the embedded model."""
    plan = sweep(
        Request(prompt="a hamster on a blue background", model="tiny-v1"),
        guidance_scale=[1, 2, 4, 7.5],
        seed=range(64 if has_own_memory(card.device) else 4),
    )
    render = partial(run, plan, device=card.device, progress=False)
    render(tempfile.mkdtemp())
    seconds, frame = card.time(lambda: render(tempfile.mkdtemp()))
    card.note(
        "embedded model",
        seconds / len(plan),
        cells=len(plan),
        batch=frame["batch_size"].tolist()[0],
    )


def check_bits(card: Card) -> None:
    """The promise: in the same batch size the same bits, whatever the neighbours."""
    cell = Request(prompt="a cat on a blue background", model="tiny-v1")
    how = dict(device=card.device, batch_size=8, progress=False)
    plan = sweep(cell, guidance_scale=[1.0, 4.0], seed=range(6))
    one, other = (run(each, tempfile.mkdtemp(), **how) for each in (plan, plan[::-1]))
    same = list(one["pixels"]) == list(other["pixels"])[::-1]
    print(f"the same bits whatever the neighbours: {same}", flush=True)
    card.facts["same bits"] = same


PARTS: dict[str, tuple[Callable[[Card], Any], float]] = {  # with about the seconds that it takes
    "run": (measure_run, 45),
    "diffusers": (measure_diffusers, 25),
    "bits": (check_bits, 15),
    "embedded": (measure_embedded, 15),
    "levels": (measure_levels, 40),
    "compiled": (measure_compiled, 80),
    "diffusers compiled": (partial(measure_diffusers, compiled=True), 70),
}


def judge(card: Card) -> list[str]:
    """Each target, what it is, and whether it is met."""
    lines = []
    for (name, base), most in TARGETS.items():
        if name in card.seconds and base in card.seconds:
            ratio = card.seconds[name] / card.seconds[base]
            met = "met" if ratio <= most else "MISSED"
            lines.append(f"{name} / {base}: {ratio:.3f}, at most {most}: {met}")
    return lines


def write_table(card: Card) -> str:
    """The figures as a table in Markdown."""
    rows = ["| what | seconds a cell | |", "|---|---|---|"]
    for name, seconds in card.seconds.items():
        told = ", ".join(f"{key} {value}" for key, value in card.facts[name].items())
        rows.append(f"| {name} | {seconds:.4f} | {told} |")
    return "\n".join(rows)


def make_card(given: argparse.Namespace, folder: str) -> Card:
    if given.small:
        model, size, steps, cells, batches = str(native("tiny-v1").model.path), None, 3, 8, (1, 4)
    else:
        model, size, steps, cells, batches = f"{folder}/model", 512, 20, 64, (4, 8, 16)
    cell = Request(
        model=model,
        prompt=PROMPT,
        height=size,
        width=size,
        num_inference_steps=steps,
        guidance_scale=7.5,
        scheduler="DDIM",
    )
    begun = time.perf_counter()
    return Card(given.device, model, cell, cells, batches, begun + given.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--device", default=sdlab.models.pipeline.device_here())
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        card = make_card(given, folder)
        print(describe_device(card.device), flush=True)
        if not given.small:
            from rendering import write_real_size

            write_real_size(card.model, half=True)
        for name in given.parts or PARTS:
            part, takes = PARTS[name]
            if not given.small and time.perf_counter() + takes > card.end:
                print(f"{name}: left out, {given.seconds:.0f} s would not be enough", flush=True)
                continue
            try:
                part(card)
            except Exception:  # the other parts go on
                print(f"{name}: failed\n{traceback.format_exc()[-1500:]}", flush=True)
    lines = judge(card)
    print(f"\n{write_table(card)}\n", *lines, sep="\n")
    if given.json:
        machine = describe_device(card.device)
        found = dict(machine=machine, seconds=card.seconds, facts=card.facts, targets=lines)
        given.json.write_text(json.dumps(found, indent=1, default=str))


if __name__ == "__main__":
    main()
