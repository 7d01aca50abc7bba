"""How much memory a run takes, how it fits into what is free, and what would, if it does not.

Linux grants more memory than there is, and ends a process that uses it, without an error. So on the
CPU a group begins as low as the estimate asks for. On a graphics card the allocator says no, which
is answered when it happens.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from ..models.checkpoint import CONFIGS
from ..models.free import find_free
from ..models.machine import (
    NARROW,
    dtype_for,
    dtype_here,
    lanes_here,
    memory_format_here,
    winograd_here,
)
from ..models.memory import LEVELS, Footing, has_own_memory, read_limit
from ..models.pipeline import Loaded, device_here, is_loaded, unload
from ..models.resolve import Native, native, resolve
from ..models.rows import MODELS
from ..models.sizes import Sizes, count_networks, read_own_sizes, read_sizes, sum_sizes
from ..models.tasks import count_calls
from ..recipe.request import Recipe, Request
from ..recipe.sizes import fit_aspect
from .batch_size import DECODED, describe_batches, fit_plan, recall_paying, share_cells
from .options import Options
from .plan import list_requests

if TYPE_CHECKING:
    import pandas

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# activations held at a time, in tensors of the first block's width; measured on v1's networks
UNET_HELD, VAE_HELD = 36, 8
PACKED = 40  # calls of a UNet that make up for laying out its weights, four times over
Size = tuple[int, int]  # of a picture: (height, width)
SIDES = (1024, 768, 640, 512, 384, 256, 192, 128, 64)  # of the squares that a message proposes


def estimate_bytes(
    own: Sizes,
    height: int,
    width: int,
    *,
    dtype: str,
    cells: int,
    lanes: int,
    memory: str,
    decoded: int = DECODED,
    device: str = "cpu",
) -> tuple[int, int]:
    """Estimates bytes for the weights, and for the activations of the network that holds most.

    Measured on networks of v1's size on the CPU: the estimate was 0.8 to 1.3 times the activations,
    and for a whole run 0.9 to 1.1 times its peak. `decoded` are the pixels in a call of the VAE.
    """
    level, number = LEVELS[memory], BYTES[dtype]
    rows = 1 if level.alone else own.predictions * cells
    unet = (
        rows * (height // own.factor) * (width // own.factor) * UNET_HELD * own.unet_width
        + own.largest
    )
    whole = own.whole or level.tile is None
    pixels = height * width if whole else min(height * width, 2 * (level.tile or 0) ** 2)
    together = max(1, min(cells, decoded // (height * width)))
    activations = (
        max(unet, together * pixels * VAE_HELD * own.vae_width) * number
        + 24 * cells * height * width
    )
    return count_resident(own, memory, device) * number, activations * lanes


def count_resident(own: Sizes, memory: str, device: str) -> int:
    """Counts the numbers of the weights that stay on the device on a level, with those on a visit.

    On a card a visiting layer may meet the one before it and the one that is fetched ahead.
    """
    level = LEVELS[memory]
    if not has_own_memory(device):
        return own.weights - (own.text if level.drop_text else 0)
    if not level.visiting:
        return own.weights
    return 3 * own.largest + (0 if level.visiting == "all" else own.unet)


def choose_footing(
    own: Native,
    request: Recipe,
    device: str | None,
    dtype: str | None,
    footing: Footing,
    memory: str = "auto",
    plan: int = 1,
) -> Footing:
    """Chooses the footing, or the first below it that fits by estimate.

    That is into a processor's memory, and into what `memory` may state, as "4GB" does. `plan` is
    the number of cells like that request.

    Raises
    ------
    MemoryError
        The weights alone are more than the memory and the swap space that are free.
    """
    device = device or device_here()
    dtype = dtype or dtype_for(device, own.layout)
    if not is_loaded(own, device, dtype):
        unload()  # what is free then counts
    limit, card = read_limit(memory), has_own_memory(device)
    if card and limit is None:
        return footing
    try:
        model = read_own_sizes(own)
    except (OSError, ValueError, KeyError):  # reading the model will say what is wrong with it
        return footing
    room = find_free(device) + is_loaded(own, device, dtype) * model.weights * BYTES[dtype]
    size, room = (request.height, request.width), min(room, limit or room)
    lower, weights, activations = descend(model, size, device, dtype, footing, room, plan)
    if weights + activations > room and not card:
        warn_too_large(request, dtype, model, room, weights, activations)
    return lower


def descend(
    model: Sizes, size: Size, device: str, dtype: str, footing: Footing, room: float, plan: int
) -> tuple[Footing, int, int]:
    """Goes down to the first footing that fits the room, else to the lowest, with its two needs.

    `plan` is the number of like cells.
    """
    while True:
        weights, more, cells = estimate_group(model, size, device, dtype, footing, plan)
        lower = footing.lower(cells)
        if weights + more <= room or lower is None:
            return footing, weights, more
        cause = footing.cause if footing.begun else f"to fit {format_bytes(room)} of memory"
        footing = dataclasses.replace(lower, cause=cause)


def estimate_group(
    model: Sizes, size: Size, device: str, dtype: str, footing: Footing, plan: int
) -> tuple[int, int, int]:
    """Estimates bytes for weights and for activations, and the cells of a batch, on a footing."""
    height, width = size
    small = height // model.factor, width // model.factor
    lanes, _, cells = share_cores(model, small, device, dtype, footing, plan)
    if footing.batch_size is None and has_own_memory(device) and not model.alone:
        name = describe_batches(
            device,
            model.unet_width,
            parameters=model.unet,
            rows=model.predictions,
            dtype=dtype,
            order=memory_format_here(device, model.unet_width, dtype),
            size=small,
        )
        cells = fit_plan(recall_paying(name) or cells, plan)
    weights, activations = estimate_bytes(
        model,
        height,
        width,
        dtype=dtype,
        cells=cells,
        lanes=lanes,
        memory=footing.memory,
        device=device,
    )
    return weights, activations, cells


def share_cores(
    model: Sizes, small: Size, device: str, dtype: str, footing: Footing, plan: int
) -> tuple[int, int, int]:
    """Shares the cores out for latents (h, w): batches at a time, threads of each, and cells."""
    lanes, threads = lanes_here(device, model.unet_width, dtype)
    if model.alone or not LEVELS[footing.memory].side_by_side:
        return 1, lanes * threads, footing.batch_size or 1
    if footing.batch_size is not None:
        return lanes, threads, footing.batch_size
    return share_cells(model.unet_width, lanes, threads, plan=plan, size=small)


def packing_pays(loaded: Loaded, own: Native, request: Recipe, plan: int, cells: int) -> bool:
    """Tells whether to lay the UNet's weights out once for `plan` like cells, so many in a batch.

    That takes their memory again, of what the run does not need, and leaves as much to others.
    """
    sizes, dtype = read_own_sizes(own), loaded.dtype
    calls = count_calls(request.scheduler, request.strength, request.num_inference_steps)
    wide = loaded.device == "cpu" and dtype != "float32" and sizes.unet_width >= NARROW
    if not wide or loaded.memory != "auto" or loaded.compiled or calls * plan < PACKED * cells:
        return False
    size, lanes = (request.height, request.width), loaded.lanes
    needed = estimate_bytes(sizes, *size, dtype=dtype, cells=cells, lanes=lanes, memory="auto")[1]
    return find_free() > needed + 2 * sizes.unet * BYTES[dtype]


def begin_footing(memory: str, batch_size: int | None = None) -> Footing:
    """Makes the footing on which a level begins: a cell at a time, or batches side by side."""
    level = "auto" if read_limit(memory) else memory
    return Footing(level, batch_size if LEVELS[level].side_by_side else batch_size or 1)


def warn_too_large(
    request: Recipe, dtype: str, model: Sizes, room: int, weights: int, activations: int
) -> None:
    """Warns that even the lowest footing is too high, or raises if the weights alone are."""
    said = (
        f"{request.height}x{request.width} with model {request.model!r} in {dtype} takes about"
        f" {format_bytes(weights + activations)} with memory='lowest' ({format_bytes(weights)} of"
        f" it for the weights), and {format_bytes(room)} are free."
        f" {propose((request.height, request.width), dtype, model, room)}"
    )
    if weights > room + psutil.swap_memory().free:
        raise MemoryError(said)
    warnings.warn(
        f"{said}; what goes on now may be very slow, or be ended by the system",
        RuntimeWarning,
        stacklevel=2,
    )


def describe_shortage(loaded: Loaded, own: Native, request: Recipe, error: Exception) -> str:
    """Describes what a cell takes that ran out of memory on the lowest footing, and what fits."""
    model, room = read_own_sizes(own), find_free(loaded.device)
    weights, activations = estimate_lowest(model, request.height, request.width, loaded.dtype)
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"no memory for {request.height}x{request.width} with model {request.model!r} in"
        f" {loaded.dtype} on {loaded.device}, one cell at a time and with memory='lowest': it takes"
        f" about {format_bytes(weights + activations)}, {format_bytes(weights)} of it for the"
        f" weights, and {format_bytes(room)} are free beside the weights."
        f" {propose((request.height, request.width), loaded.dtype, model, room + weights)}"
        f" ({first:.200})"
    )


def estimate_lowest(model: Sizes, height: int, width: int, dtype: str) -> tuple[int, int]:
    """Estimates bytes for weights and for activations of a cell alone on the lowest footing."""
    return estimate_bytes(model, height, width, dtype=dtype, cells=1, lanes=1, memory="lowest")


def propose(size: Size, dtype: str, model: Sizes, room: float) -> str:
    """Says what to do instead, in a sentence without its end."""
    half = dtype_here("cpu", model.unet_width)
    smaller = (side for side in SIDES if side * side < math.prod(size))
    fits = [side for side in smaller if sum(estimate_lowest(model, side, side, dtype)) <= room]
    ways = [f"height={fits[0]}, width={fits[0]}"] if fits else []
    if dtype == "float32" and half != dtype:
        ways += [f"dtype={half!r}, which takes half as much"]
    ways += ["a smaller model", "or more memory (close other programs)"]
    return f"What would fit: {', '.join(ways)}"


def format_bytes(size: float) -> str:
    """Formats bytes as "2.1 GB" or "310 MB"."""
    if size < 1e9:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e9:.2g} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"


@dataclass(frozen=True, repr=False)
class Estimate:
    """What `estimate` found, as a table for people; `.frame` has the numbers."""

    frame: pandas.DataFrame

    @property
    def table(self) -> pandas.DataFrame:
        """The frame with bytes as people read them."""
        shown = self.frame.dropna(axis="columns", how="all").astype(object)
        shown = shown.where(shown.notna(), "")
        for name in ("weights", "activations", "free"):
            shown[name] = shown[name].map(format_bytes)
        return shown

    def __repr__(self) -> str:
        return self.table.to_string(index=False)

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False)


def estimate(
    requests: Request | Iterable[Request],
    *,
    device: str | None = None,
    dtype: str | None = None,
    memory: str = "auto",
    free: float | None = None,
) -> Estimate:
    """Estimates the memory that a run would take on each level, and where it would begin.

    No weights are read. A named model of v1, v2 or SDXL that is not here is counted from the
    configuration that comes with sdlab. What is to spare on a processor may hold the UNet's weights
    once more (see `packing_pays`), which is not counted.

    Parameters
    ----------
    requests : Request or iterable of Request
    device, dtype, memory
        As for `run`.
    free : float, optional
        Bytes: what if so many were free? By default what is free now; what the model takes that is
        loaded already counts as free.

    Returns
    -------
    Estimate
        Its `.frame` has a row for each model, size and level: `model, height, width, device, dtype,
        memory_format, winograd` (whether convolutions are computed by Winograd's algorithm),
        `memory`, the `lanes` that compute batches at a time, the `threads` of each
        and the `batch_size` with which the level would begin, bytes for `weights` and for
        `activations`, bytes that are `free`, whether that `fits`, whether `run` would begin here
        (`begins`; where nothing fits, it warns and tries the lowest level, or refuses if the
        weights alone are too large), and as `advice` what would fit instead. On a graphics card a
        run begins where it is told and goes lower once memory runs out, unless a number of GB was
        given.

    Raises
    ------
    ValueError, TypeError
        An option, or a request that cannot be resolved.
    """
    import pandas

    Options(device=device, dtype=dtype, memory=memory)
    device = device or device_here()
    models, rows = functools.cache(find_model), []
    each = ((r.model, find_size(r, models(r.model)[1])) for r in list_requests(requests))
    for (name, size), plan in Counter(each).items():
        sizes, own = models(name)
        form = dtype or (
            dtype_for(device, own.layout) if own else dtype_here(device, sizes.unet_width)
        )
        loaded = own is not None and is_loaded(own, device, form)
        room = find_free(device) + loaded * sizes.weights * BYTES[form] if free is None else free
        room = min(room, read_limit(memory) or room)
        known = dict(model=name, height=size[0], width=size[1], device=device, dtype=form)
        order = memory_format_here(device, sizes.unet_width, form)
        known["memory_format"] = "contiguous_format" if sizes.alone else order
        levels = compare_levels(sizes, size, device, form, memory, room, plan)
        rows += [known | level for level in levels]
    columns = "model height width device dtype memory_format winograd memory lanes threads"
    sums = "batch_size weights activations free fits begins advice"
    named = [*columns.split(), *sums.split()]
    return Estimate(pandas.DataFrame(rows, columns=named).convert_dtypes())


def compare_levels(
    model: Sizes, size: Size, device: str, dtype: str, memory: str, room: float, plan: int
) -> Iterator[dict[str, Any]]:
    """Compares the levels for so many pictures (height, width), a row each."""
    first = begin_footing(memory)
    limit = read_limit(memory)
    quick = not model.alone and winograd_here(device, model.unet_width, dtype)
    if not has_own_memory(device) or limit:
        first = descend(model, size, device, dtype, first, room, plan)[0]
    for level in LEVELS:
        begins = level == first.memory
        footing = first if begins else begin_footing(level)
        weights, activations, cells = estimate_group(model, size, device, dtype, footing, plan)
        fits = weights + activations <= room
        small = size[0] // model.factor, size[1] // model.factor
        lanes, threads, _ = share_cores(model, small, device, dtype, footing, plan)
        yield dict(
            winograd=(quick and LEVELS[level].side_by_side) or None,
            memory=level,
            lanes=lanes,
            threads=threads,
            batch_size=cells,
            weights=weights,
            activations=activations,
            free=int(room),
            fits=fits,
            begins=begins,
            advice=None if fits or not begins else propose(size, dtype, model, room),
        )


def find_model(name: str) -> tuple[Sizes, Native | None]:
    """Finds a model's sizes and the model, or the sizes alone, which a configuration tells."""
    try:
        own = native(name)
    except FileNotFoundError:
        if name not in MODELS or not MODELS[name].packed:
            raise
        config = CONFIGS / MODELS[name].packed
        return sum_sizes(count_networks(config), config), None
    return read_sizes(own.model), own


def find_size(request: Request, own: Native | None) -> Size:
    """Finds (height, width) of a request's picture, natively those of its model."""
    if own is not None:
        recipe = resolve(request, own)
        return recipe.height, recipe.width
    side = MODELS[request.model].native_size or 0
    if request.aspect:
        return fit_aspect(request.aspect, (side, side), request.height, request.width)
    return request.height or side, request.width or side
