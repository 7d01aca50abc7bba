"""Chooses the number format in which this machine computes a model fastest.

What a processor says that it can do does not tell how fast it does it: some with AMX compute
float16 more slowly than float32. So a convolution and a linear layer of the model's own width are
timed once in each format, and the times kept in the user's cache folder, for each processor,
version of torch and width. The format changes a picture's last bits; it is no part of a key, it is
recorded with each picture as `dtype`, and `run(..., dtype=...)` decides it without a measurement.
"""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from .fingerprint import CACHE, read_cache, write_cache

NARROW = 128  # channels of a UNet; in a narrower one channels_last is the slower format
SD_WIDTH = 320  # channels of Stable Diffusion's first block
FORMATS = ("float32", "float16", "bfloat16")  # the most exact first
WORTH = 1.15  # times as fast is what a less exact format has to be
HOPELESS = 3  # times as long as another: not timed twice
RUNS = 3
TIMES = CACHE.with_name("number_formats.json")


@functools.cache
def dtype_here(device: str, channels: int = SD_WIDTH) -> str:
    """Chooses the fastest number format for a UNet whose first block has so many channels.

    A graphics card has float16. On a processor a more exact format is taken if it is about as fast.
    """
    if device != "cpu":
        return "float16"
    name, known = describe_case(channels), read_cache(TIMES)
    if not is_measured(known.get(name)):
        known[name] = measure_formats(channels)
        write_cache(TIMES, known)
    return choose_format(known[name])


def describe_case(channels: int) -> str:
    """Describes what decides the times: processor, instructions, torch and width."""
    import torch

    instructions = torch.backends.cpu.get_cpu_capability()
    has = [name for name, value in torch.cpu.get_capabilities().items() if value is True]
    halves = " ".join(sorted(name for name in has if name.endswith(("bf16", "fp16"))))
    processor = f"{read_processor_name()}, {instructions} {halves}".strip()
    return f"{processor}, torch {torch.__version__}, {channels} channels"


def is_measured(times: Any) -> bool:
    """Tells whether this is what `measure_formats` returns: a file may hold anything."""
    complete = isinstance(times, dict) and set(times) == set(FORMATS)
    return complete and all(isinstance(value, float) and value > 0 for value in times.values())


def choose_format(times: Mapping[str, float]) -> str:
    """Chooses the most exact format that takes about as long as the fastest, or less."""
    fastest = min(times.values())
    return next(name for name in FORMATS if times[name] <= WORTH * fastest)


def measure_formats(channels: int) -> dict[str, float]:
    """Measures how many seconds of one thread the layers take in each format."""
    import torch

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(1) as alone:  # as a lane of a run has one thread
            return alone.submit(time_formats, channels).result()
    finally:
        torch.set_num_threads(threads)


def time_formats(channels: int) -> dict[str, float]:
    """Times all formats, in this thread alone."""
    import torch

    torch.set_num_threads(1)
    times: dict[str, float] = {}
    for name in FORMATS:
        time_layers(channels, name)  # the first time takes longer
        times[name] = time_layers(channels, name)
        for _ in range(RUNS - 1):
            if times[name] <= HOPELESS * min(times.values()):
                times[name] = min(times[name], time_layers(channels, name))
    return times


def time_layers(channels: int, dtype: str) -> float:
    """Times one convolution and one linear layer, in seconds that other programs do not take."""
    import torch

    clock = time.thread_time
    if time.get_clock_info("thread_time").resolution > 1e-5:  # Windows
        clock = time.perf_counter
    fill = functools.partial(torch.full, fill_value=0.01, dtype=getattr(torch, dtype))
    wide, side = channels >= NARROW, 16 if channels >= NARROW else 32
    last = wide and dtype != "float32"  # as `read` has it
    order = torch.channels_last if last else torch.contiguous_format
    picture = fill((1, channels, side, side)).contiguous(memory_format=order)
    kernel = fill((channels, channels, 3, 3)).contiguous(memory_format=order)
    tokens, matrix = fill((1, side * side, channels)), fill((4 * channels, channels))
    with torch.inference_mode():
        start = clock()
        torch.nn.functional.conv2d(picture, kernel, padding=1)
        torch.nn.functional.linear(tokens, matrix)
        return clock() - start


@functools.cache
def read_processor_name() -> str:
    """Reads the processor's name, as far as the system tells it."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    return platform.processor() or "unknown processor"
