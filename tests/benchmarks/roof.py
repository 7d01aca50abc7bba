"""How near its roof rendering on a processor is: the least time of a cell that this machine allows, and the time it takes.

    python tests/benchmarks/roof.py [--small] [--size 512] [--steps 4] [--cells 2] [--model FOLDER] [--json roof.json]

In one run: what the machine does at most on the threads that `run` uses, before the cells or after them (the model's own
largest products alone, exponentials, copies); what a UNet's call for a cell, of two rows, and a decode need of it, counted
operation by operation, with the seconds that they take at best where `run` computes them; the least time of a cell that
follows, and the times of `run` and diffusers for the same cells. A product takes as long as its FLOPs or as reading its
weights, whichever is longer, norms and the rest as long as moving their numbers in and out. Two more roofs stand beside it: what
would be least if all these were joined with products and moved nothing, and what is least where attention's exponentials
take as long as in torch's softmax. Texts and files are in none. Alone on the machine: else the shares mean nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from operations import BYTES, KINDS, REST, Operation, Rates, Watch
from peers import ask, choose_model
from torch.nn import functional as F

import sdlab.models.pipeline
from sdlab.models.machine import describe_device
from sdlab.models.resolve import native

WHO = ("run", "diffusers, bfloat16", "diffusers, as documented")
NEEDS = {"flops": 1e12, "exponentials": 1e9, "weights": 1e9, "moved": 1e9}  # and how they are told
RATES = {
    "bfloat16": (1e12, "TFLOP/s, products in bfloat16"),
    "float16": (1e12, "TFLOP/s, products in float16"),
    "float32": (1e12, "TFLOP/s, products in float32"),
    "exponentials": (1e9, "billion exponentials a second"),
    "softmax": (1e9, "billion of them a second in a softmax"),
    "activations": (1e9, "GB/s, copies of activations"),
    "memory": (1e9, "GB/s, copies or sums of memory"),
}
LONG = 1e11  # FLOPs of a product that is not tried alone: it takes seconds in float32
Networks = dict[str, list[Operation]]
Make = Callable[[], Callable[[], Any]]  # makes what a lane repeats


def call_lanes(how: dict[str, Any], work: Callable[[], Any]) -> list[Any]:
    """Does the same in all lanes at once, each with its threads."""
    lanes = how["lanes"]
    with ThreadPoolExecutor(lanes, "lane", torch.set_num_threads, (how["threads"],)) as pool:
        return [each.result() for each in [pool.submit(work) for _ in range(lanes)]]


def watch_network(how: dict[str, Any], network: Callable[[], Any]) -> list[Operation]:
    """Lists a call's operations, with the least seconds of a cell while every lane computes one."""

    def work() -> list[Operation]:
        with torch.no_grad():  # inference mode hides what linear layers are
            network()
            with Watch() as watch:
                network()
        return watch.found

    return [
        replace(same[0], seconds=min(each.seconds for each in same) / how["lanes"])
        for same in zip(*call_lanes(how, work), strict=True)
    ]


def watch_model(given: argparse.Namespace) -> tuple[Networks, dict[str, Any]]:
    """Lists the operations of a UNet's call and of a decode as `run` computes them, and how it does."""
    loaded = sdlab.models.pipeline.load(native(given.model), "cpu")
    pipe, how = loaded.pipe, dict(lanes=loaded.lanes, threads=loaded.threads, dtype=loaded.dtype)
    side, noise = given.size // pipe.vae_scale_factor, partial(torch.randn, dtype=pipe.unet.dtype)
    x, text = noise(2, 4, side, side), noise(2, 77, pipe.unet.config.cross_attention_dim)
    unet = partial(pipe.unet, x, 500, encoder_hidden_states=text, return_dict=False)
    decode = partial(pipe.vae.decode, x[:1], return_dict=False)
    return {"UNet": watch_network(how, unet), "decode": watch_network(how, decode)}, how


def measure_rate(how: dict[str, Any], make: Make, amount: float, seconds: float) -> float:
    """Measures how much of something all lanes do in a second, at their best."""
    begin = threading.Barrier(how["lanes"], timeout=60)

    def work() -> float:
        call, times = make(), []
        with torch.inference_mode():
            call()
            begin.wait()
            end = time.perf_counter() + seconds
            while not times or time.perf_counter() < end:
                begun = time.perf_counter()
                call()
                times.append(time.perf_counter() - begun)
        return amount / min(times[:-1] or times)  # another lane may be through before the last

    return sum(call_lanes(how, work))


def make_product(shapes: tuple, dtype: str) -> Callable[[], Any]:
    """Makes a layer's product, with nothing around it."""
    given, weight = (torch.full(shape, 0.01, dtype=getattr(torch, dtype)) for shape in shapes)
    if given.ndim == 2:
        return partial(torch.mm, given, weight)
    given, weight = (each.to(memory_format=torch.channels_last) for each in (given, weight))
    return partial(F.conv2d, given, weight, padding=weight.shape[-1] // 2)


def make_copy(size: int) -> Callable[[], Any]:
    return partial(torch.empty(size // 4).copy_, torch.ones(size // 4))


def list_work(found: Networks, how: dict[str, Any], large: int) -> list[tuple[str, Make, float]]:
    """Lists what tells the rates, in the model's own sizes: (rate, what makes it, how much it is).

    Copies have the UNet's size, which fits into caches; a decode's take longer than is said here.
    """
    products, moved, scores = [], Counter(), (64, 4096)  # keys of v1's highest level
    for operations, kind in ((each, kind) for each in found.values() for kind in KINDS[:2]):
        flops = Counter()
        for each in operations:
            flops[each.shapes, each.flops] += each.flops * (each.kind == kind and each.flops < LONG)
        products += [one for one, total in flops.most_common(2) if total]
    for each in found["UNet"]:
        moved[each.moved * BYTES[how["dtype"]] // 2] += each.moved  # half of it goes in
    size = max(moved, key=moved.__getitem__)
    return [
        *(
            (dtype, partial(make_product, shapes, dtype), amount)
            for shapes, amount in products
            for dtype in dict.fromkeys((how["dtype"], "bfloat16", "float32"))
        ),
        ("exponentials", lambda: torch.ones(scores).exp, math.prod(scores)),
        ("softmax", lambda: partial(torch.ones(scores).softmax, -1), math.prod(scores)),
        ("activations", partial(make_copy, size), 2 * size),
        ("memory", partial(make_copy, large), 2 * large),
        ("memory", lambda: torch.ones(large // 4).sum, large),
    ]


def measure_machine(how: dict[str, Any], work: list, seconds: float, rates: Rates) -> Rates:
    """Measures the most that the machine does of each in a second, earlier rates counted."""
    for name, make, amount in work:
        rates = {**rates, name: max(rates.get(name, 0), measure_rate(how, make, amount, seconds))}
    part = {"exponentials": max(map(rates.get, ("exponentials", "softmax")))}  # it is made of them
    return rates | part


def sum_kinds(found: Networks, rates: Rates, dtype: str) -> list[dict[str, Any]]:
    """Sums up what each kind of operation needs in a call of each network, takes at least, and took."""
    rows = []
    for network, kind in ((network, kind) for network in found for kind in KINDS):
        same = [each for each in found[network] if each.kind == kind]
        row = {name: sum(getattr(each, name) for each in same) for name in (*NEEDS, "seconds")}
        row |= {name: row[name] * BYTES[dtype] for name in ("weights", "moved")}
        least = sum(each.find_least(rates, dtype) for each in same)
        rows.append({"network": network, "kind": kind, **row, "least": least})
    return rows


def find_roofs(found: Networks, steps: int, rates: Rates) -> dict[str, float]:
    """Finds the least seconds of a cell of so many steps, in the better of the number formats."""

    def find_least(rates: Rates) -> float:
        times = [
            sum(
                each.find_least(rates, dtype) * (steps if name == "UNet" else 1)
                for name, operations in found.items()
                for each in operations
            )
            for dtype in BYTES.keys() & rates.keys()
        ]
        return min(times)

    return {
        "the roof": find_least(rates),
        f"{REST} joined": find_least({**rates, "activations": math.inf}),
        "torch's softmax": find_least({**rates, "exponentials": rates["softmax"]}),
    }


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Measures all: the networks, the machine before and after the cells, and the cells."""
    found, how = watch_model(given)
    sdlab.models.pipeline.unload()  # the others get its memory
    large, seconds = (1 << 22, 0.02) if given.small else (1 << 28, 0.5)
    work = list_work(found, how, large)
    rates = measure_machine(how, work, seconds, {})
    rows = [ask(given, name) for name in WHO]
    rates = measure_machine(how, work, seconds, rates)
    roofs = find_roofs(found, given.steps, rates)
    for row in (row for row in rows if "seconds" in row):
        row["share"] = roofs["the roof"] / row["seconds"]
        row["times"] = {name: row["seconds"] / least for name, least in roofs.items()}
    told = {"machine": describe_device("cpu"), **how, "size": given.size, "steps": given.steps}
    kinds = sum_kinds(found, rates, how["dtype"])
    return {**told, "rates": rates, "kinds": kinds, "roofs": roofs, "rows": rows}


def write_tables(told: dict[str, Any]) -> str:
    """Writes the figures as tables in Markdown."""
    split = f"{told['lanes']} lanes of {told['threads']} threads"
    lines = [f"| {told['machine']} | at most, {split} |", "|---|---|"]
    for name, rate in told["rates"].items():
        unit, title = RATES[name]
        lines.append(f"| {title} | {rate / unit:.3g} |")
    heads = "TFLOP | billion exponentials | GB of weights | GB moved | least seconds | seconds here"
    lines += ["", f"| a cell's call, {told['dtype']} | kind | {heads} |", "|---" * 8 + "|"]
    for row in told["kinds"]:
        figures = [row[name] / unit for name, unit in NEEDS.items()]
        cells = " | ".join(f"{each:.3g}" for each in (*figures, row["least"], row["seconds"]))
        lines.append(f"| {row['network']} | {row['kind']} | {cells} |")
    heads = " | ".join(f"seconds over {name}" for name in told["roofs"])
    lines += ["", f"| who | seconds a cell | share of the roof | {heads} |", "|---" * 6 + "|"]
    lines += [f"| {name} | {least:.2f} | | | | |" for name, least in told["roofs"].items()]
    for row in told["rows"]:
        figures = (row["seconds"], row["share"], *row["times"].values()) if "times" in row else ()
        cells = " | ".join(f"{each:.2f}" for each in figures)
        lines.append(f"| {row['who']} | {row.get('error') or cells} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true", help="the embedded model, to try it")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--cells", type=int, default=2)
    parser.add_argument("--model", help="a folder; by default one is made")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as given.folder:
        choose_model(given)
        told = measure(given)
    print(write_tables(told))
    if given.json:
        given.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
