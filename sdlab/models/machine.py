"""Finds out how this machine computes a model fastest: formats, convolutions and lanes.

What a processor says that it can do does not tell how fast it does it: some with AMX compute
float16 more slowly than float32, and some cards are slower with channels last. So what a block of
the model's own width takes is measured once in each way, and the times kept in the user's cache
folder, for each device, version of torch and width: the same machine always chooses the same. Each
choice can change a picture's last bits; none is part of a key, all are recorded with each picture
(`dtype`, `memory_format`, `winograd`, `threads`, `batch_size`), and `run(..., dtype=...)` decides
the first.
"""

from __future__ import annotations

import functools
import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fingerprint import CACHE, read_cache, write_cache
from .memory import has_own_memory

if TYPE_CHECKING:
    from .configuration import Layout

NARROW = 128  # channels of a UNet; threads that share a call of a narrower one wait for each other
SD_WIDTH = 320  # channels of Stable Diffusion's first block
FORMATS = ("float32", "float16", "bfloat16")  # the most exact first
WORTH = 1.15  # times as fast is what a less exact format, or another split than usual, has to be
HOPELESS = 3  # times as long as another: not timed twice
WAYS = ("direct", "winograd")  # to convolve
RUNS = 2  # after the first, which takes longer
WIDE_LANES = 4  # usually, as each lane of a wide network takes its own memory
TIMES = CACHE.with_name("speed.json")


@functools.cache
def dtype_here(device: str, channels: int = SD_WIDTH) -> str:
    """Chooses the fastest number format for a UNet whose first block has so many channels.

    A graphics card has float16. On a processor a more exact format is taken if it is about as fast.
    """
    if device != "cpu":
        return "float16"
    ways = [f"{dtype} {list_orders(device, channels, dtype)[0]}" for dtype in FORMATS]
    return choose_way(recall_times("number format", device, channels, ways)).split()[0]


def dtype_for(device: str, layout: Layout) -> str:
    """Chooses the fastest number format for a model.

    In float16 other networks than UNets pass its largest number, 65504, which bfloat16 has room
    for.
    """
    dtype, call = dtype_here(device, layout.channels), layout.call
    return "bfloat16" if dtype == "float16" and call and not call.has_unet else dtype


@functools.cache
def memory_format_here(device: str, channels: int, dtype: str) -> str:
    """Chooses the faster of torch's memory formats, by its name; NNPACK's is contiguous."""
    if winograd_here(device, channels, dtype):
        return "contiguous_format"
    orders = list_orders(device, channels, dtype)
    ways = [f"{dtype} {order}" for order in orders]
    return choose_way(recall_times(f"memory format of {dtype}", device, channels, ways)).split()[1]


@functools.cache
def winograd_here(device: str, channels: int, dtype: str) -> bool:
    """Chooses whether convolutions are computed by Winograd's algorithm (see `winograd`)."""
    from .nnpack import is_there

    if (device, dtype) != ("cpu", "float32") or channels < NARROW or not is_there():
        return False
    name = f"{describe_device(device)}, {channels} channels, convolutions"
    measure = functools.partial(time_ways, WAYS, functools.partial(time_convolutions, channels))
    times = recall(name, measure, lambda kept: set(kept) == set(WAYS))
    return choose_way({way: times[way] for way in WAYS}) == "winograd"


@functools.cache
def lanes_here(device: str, channels: int, dtype: str) -> tuple[int, int]:
    """Chooses how many batches to compute at a time, and the threads of each.

    One thread computes a row of a batch alike wherever it stands; several may not (measured: 3 and
    6 threads change the last bits), so they compute a cell at a time.
    """
    import torch

    cores = torch.get_num_threads()
    splits = list_splits(cores) if device == "cpu" and channels >= NARROW else []
    if len(splits) < 2:
        return (cores, 1) if device == "cpu" else (1, 1)
    order = memory_format_here(device, channels, dtype)
    ways = [f"{dtype} {order} {lanes} lanes of {threads}" for lanes, threads in splits]
    chosen = choose_way(recall_times(f"{cores} threads, {dtype}", device, channels, ways))
    return splits[ways.index(chosen)]


def share_out(channels: int, lanes: int, threads: int, batches: int) -> tuple[int, int]:
    """Shares the threads of lanes out among so few batches; gives lanes, and the threads of each.

    Those of a narrow UNet have nothing to give: threads that share its calls only wait.
    """
    if channels < NARROW or batches >= lanes:
        return lanes, threads
    return batches, lanes * threads // batches


def list_orders(device: str, channels: int, dtype: str) -> list[str]:
    """Lists torch's memory formats, the one first that is taken where both are as fast.

    The VAE, which is not timed, gains most from channels last in half precision on a processor.
    """
    last = device == "cpu" and channels >= NARROW and dtype != "float32"
    return ["contiguous_format", "channels_last"][:: -1 if last else 1]


def list_splits(cores: int) -> list[tuple[int, int]]:
    """Lists ways to split cores into (lanes, threads of each), the usual one first."""
    usual = min(cores, WIDE_LANES)
    others = {n for n in (1, 2, 4, 8) if n <= cores and n != usual}
    return [(lanes, cores // lanes) for lanes in (usual, *sorted(others))]


def choose_way(times: Mapping[str, float], worth: float = WORTH) -> str:
    """Chooses the first way that takes about as long as the fastest, or less."""
    most = worth * min(times.values())
    return next(way for way, seconds in times.items() if seconds <= most)


# Times, kept


def recall_times(question: str, device: str, channels: int, ways: list[str]) -> dict[str, float]:
    """Recalls the seconds of each way to compute blocks of that width, or measures them."""
    name = f"{describe_device(device)}, {channels} channels, {question}"
    measure = functools.partial(measure_blocks, device, channels, ways)
    times = recall(name, measure, lambda kept: set(kept) == set(ways))
    return {way: times[way] for way in ways}


def recall(
    name: str, measure: Callable[[], dict[str, float]], is_whole: Callable[[dict], bool] = bool
) -> dict[str, float]:
    """Recalls times from the cache; where they are not all there, measures and keeps them.

    A measurement that is cut off leaves nothing, and of two at once the first to end counts.
    """
    if kept := recall_kept(name, is_whole):
        return kept
    found = measure()
    if kept := recall_kept(name, is_whole):
        return kept
    write_cache(TIMES, read_cache(TIMES) | {name: found})
    return found


def recall_kept(name: str, is_whole: Callable[[dict], bool] = bool) -> dict[str, float]:
    """Recalls the times that are kept under a name; none of a spoiled entry."""
    kept = read_cache(TIMES).get(name)
    if not isinstance(kept, dict) or not is_whole(kept):
        return {}
    return kept if all(isinstance(each, float) and each > 0 for each in kept.values()) else {}


def describe_device(device: str) -> str:
    """Describes what decides the times besides the model: device, instructions, torch."""
    import torch

    if device != "cpu":
        card = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
        return f"{card}, torch {torch.__version__}"
    instructions = torch.backends.cpu.get_cpu_capability()
    has = [name for name, value in torch.cpu.get_capabilities().items() if value is True]
    halves = " ".join(sorted(name for name in has if name.endswith(("bf16", "fp16"))))
    processor = f"{read_processor_name()}, {instructions} {halves}".strip()
    return f"{processor}, torch {torch.__version__}"


# The measurement


def measure_blocks(device: str, channels: int, ways: Iterable[str]) -> dict[str, float]:
    """Measures the seconds of a block in each way, such as "float32 channels_last 2 lanes of 1"."""
    return time_ways(ways, functools.partial(time_way, device, channels))


def time_ways(ways: Iterable[str], time_one: Callable[[str], float]) -> dict[str, float]:
    """Times all ways in turn, and takes the shortest time of each."""
    times = {way: time_one(way) for way in ways}
    for _ in range(RUNS):
        for way in times:
            if times[way] <= HOPELESS * min(times.values()):
                times[way] = min(times[way], time_one(way))
    return times


def time_way(device: str, channels: int, way: str) -> float:
    """Times a block, or in lanes one after the other: those of a lane at a time, in seconds."""
    import torch

    dtype, order, *split = way.split()
    lanes, threads = (int(split[0]), int(split[-1])) if split else (1, 1)
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(lanes, "block", torch.set_num_threads, (threads,)) as pool:
            begun = time.perf_counter()
            each = [pool.submit(time_block, device, channels, dtype, order) for _ in range(lanes)]
            seconds = [block.result() for block in each]
            return (time.perf_counter() - begun) / lanes if split else seconds[0]
    finally:
        torch.set_num_threads(before)


def time_block(device: str, channels: int, dtype: str, order: str) -> float:
    """Times a residual block with a transformer, in seconds that other programs do not take."""
    import torch

    clock = choose_clock(device)
    rows, side = (16, 16) if channels < NARROW else (2, 16)
    if has_own_memory(device):
        rows, side = 16, 64
    fill = functools.partial(
        torch.full, fill_value=0.01, dtype=getattr(torch, dtype), device=device
    )
    memory_format = getattr(torch, order)
    picture = fill((rows, channels, side, side)).contiguous(memory_format=memory_format)
    kernel = fill((channels, channels, 3, 3)).contiguous(memory_format=memory_format)
    square, wide = fill((channels, channels)), fill((4 * channels, channels))
    with torch.inference_mode():
        finish_calls(device)
        start = clock()
        compute_block(picture, kernel, square, wide)
        finish_calls(device)
        return clock() - start


def time_convolutions(channels: int, way: str) -> float:
    """Times a UNet's first and third level on one thread, in seconds of this program alone."""
    import torch

    from .winograd import Winograd

    clock = choose_clock("cpu")
    sizes = (channels, 64), (4 * channels, 16)  # as of Stable Diffusion at 512x512
    given = [torch.full((1, wide, side, side), 0.01) for wide, side in sizes]
    weights = [torch.full((wide, wide, 3, 3), 0.01) for wide, _ in sizes]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with torch.inference_mode(), Winograd() if way == "winograd" else nullcontext():
            begun = clock()
            for each, weight in zip(given, weights):
                torch.conv2d(each, weight, None, (1, 1), (1, 1), (1, 1), 1)
            return clock() - begun
    finally:
        torch.set_num_threads(threads)


def choose_clock(device: str) -> Callable[[], float]:
    """Chooses the clock of a thread, or that on the wall where there is no exact one."""
    coarse = time.get_clock_info("thread_time").resolution > 1e-5  # Windows
    return time.perf_counter if coarse or device != "cpu" else time.thread_time


def compute_block(picture: Any, kernel: Any, square: Any, wide: Any) -> Any:
    """Computes what one level of the UNet mostly consists of, on a picture (B, C, h, w)."""
    from torch.nn import functional as F

    x, parts = picture, math.gcd(8, picture.shape[1])
    for _ in range(2):
        x = F.conv2d(F.silu(F.group_norm(x, parts)), kernel, padding=1)
    tokens = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, h w, C)
    heads = F.linear(tokens, square).unflatten(-1, (parts, -1)).transpose(1, 2)
    tokens = F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(-2)
    tokens = F.linear(F.gelu(F.linear(tokens, wide)), wide.T)
    return picture + tokens.unflatten(1, picture.shape[-2:]).permute(0, 3, 1, 2).contiguous()


def finish_calls(device: str) -> None:
    """Waits until the device has computed what it was told to."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


@functools.cache
def read_processor_name() -> str:
    """Reads the processor's name, as far as the system tells it."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    return platform.processor() or "unknown processor"
