"""How much memory a model takes, how much is free here, and what would fit: by estimate, before a system runs out.

Linux grants more memory than there is, and ends a process that uses it, without an error. So on the
CPU a group begins as low as the estimate asks for. On a graphics card the allocator says no, which
is answered when it happens.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from ..models.catalogue import Model
from ..models.checkpoint import TEXT, UNET, VAE, tell_family
from ..models.heads import read_shapes
from ..models.layout import read_json
from ..models.locate import find_weights
from ..models.memory import LEVELS, Footing, has_own_memory
from ..models.pipeline import (
    NARROW,
    Loaded,
    cells_together,
    device_here,
    dtype_here,
    is_loaded,
    lanes_here,
    unload,
)
from ..models.resolve import Native
from ..recipe.request import Request

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
UNET_HELD, VAE_HELD = (
    36,
    8,
)  # activations held at a time, in tensors of the first block's width; measured on v1's networks
GROUPS = {  # limit, what is used, and what of that the system would give back
    "/sys/fs/cgroup": ("memory.max", "memory.current", "inactive_file"),
    "/sys/fs/cgroup/memory": (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}
SIDES = (
    1024,
    768,
    640,
    512,
    384,
    256,
    192,
    128,
    64,
)  # of the square pictures that a message proposes


@dataclass(frozen=True)
class Sizes:
    """What decides how much memory a model takes, all but `factor` counted in numbers, whatever their format.

    Parameters
    ----------
    weights, text : int
        Of all its networks, and of the text encoder among them.
    largest : int
        The UNet's largest tensor, of which a processor's library makes a copy in its own order.
    unet_width, vae_width : int
        Channels of the first blocks, which work on the largest pictures.
    factor : int
        Pixels of a picture to one of its latents.
    """

    weights: int
    text: int
    largest: int
    unet_width: int
    vae_width: int
    factor: int


def sizes(model: Model) -> Sizes:
    """From the heads of the model's files: no weights are read."""
    return _sizes(model.place, model.configuration, model.place.stat().st_mtime_ns)


@functools.lru_cache(64)
def _sizes(path: Path, config: Path, changed: int) -> Sizes:
    parts = parts_of_file(path) if path.is_file() else parts_of_folder(path)
    unet, vae = (
        read_json(config / part / "config.json")["block_out_channels"] for part in ("unet", "vae")
    )
    return Sizes(
        sum(map(sum, parts.values())),
        sum(parts["text_encoder"]),
        max(parts["unet"]),
        unet[0],
        vae[0],
        2 ** (len(vae) - 1),
    )


def parts_of_file(path: Path) -> dict[str, list[int]]:
    """{part: the number of numbers in each of its tensors} of a single file; what else is in it is not loaded."""
    prefixes = {"unet": UNET, "vae": VAE, "text_encoder": TEXT[tell_family(path)]}
    return {
        part: [
            math.prod(shape) for name, shape in read_shapes(path).items() if name.startswith(prefix)
        ]
        for part, prefix in prefixes.items()
    }


def parts_of_folder(folder: Path) -> dict[str, list[int]]:
    """The same of a folder: in each part the files without a variant, such as .fp16, in their names."""
    named = [
        part
        for part, value in read_json(folder / "model_index.json").items()
        if isinstance(value, list) and value[0]
    ]
    found = {
        part: [
            math.prod(shape)
            for file in find_weights(folder / part)
            for shape in read_shapes(file).values()
        ]
        for part in named
    }
    return {part: counts for part, counts in found.items() if counts}


def needed(
    own: Sizes, height: int, width: int, *, dtype: str, cells: int, lanes: int, memory: str
) -> tuple[int, int]:
    """Bytes for the weights, and for the activations of the network that holds most of them.

    Measured on networks of v1's size on the CPU: the estimate was 0.8 to 1.3 times the activations,
    and for a whole run 0.9 to 1.1 times its peak.
    """
    level, number = LEVELS[memory], BYTES[dtype]
    rows = 1 if level.alone else 2 * cells
    unet = (
        rows * (height // own.factor) * (width // own.factor) * UNET_HELD * own.unet_width
        + own.largest
    )
    pixels = height * width if level.tile is None else min(height * width, 2 * level.tile**2)
    together = max(1, min(cells, 2**18 // (height * width)))
    activations = (
        max(unet, together * pixels * VAE_HELD * own.vae_width) * number
        + 24 * cells * height * width
    )
    weights = (own.weights - (own.text if level.drop_text else 0)) * number
    return weights, activations * lanes


def free(device: str = "cpu") -> int | None:
    """Bytes that are free on the device, with what torch holds of a card and does not use; None if nothing tells."""
    if has_own_memory(device):
        import torch

        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    rooms = [room for room in (stated_free("MemAvailable"), *rooms_of_groups()) if room is not None]
    return min(rooms, default=None)


def stated_free(name: str) -> int | None:
    """A line of Linux' /proc/meminfo, in bytes."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:  # another system: Windows and macOS say so with an error, or swap and grow slow
        return None
    return int(found[1]) * 1024 if found else None


def rooms_of_groups() -> list[int]:
    """What the limits of containers (control groups, version 2 and 1) leave."""
    rooms = []
    for folder, (most, used, reclaimable) in GROUPS.items():
        for group in own_groups(folder):
            try:
                limit, now = int((group / most).read_text()), int((group / used).read_text())
                cached = re.search(
                    rf"^{reclaimable} (\d+)", (group / "memory.stat").read_text(), re.MULTILINE
                )
            except (OSError, ValueError):  # no such file, or "max"
                continue
            rooms.append(max(0, limit - now + (int(cached[1]) if cached else 0)))
    return rooms


def own_groups(folder: str) -> list[Path]:
    """The folder of this process's control group and those above it; in a container the uppermost is its own."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    wanted = "memory" if folder.endswith("/memory") else ""
    place = next(
        (line.split(":", 2)[2] for line in lines if wanted in line.split(":")[1].split(",")), "/"
    )
    return [Path(folder + parent) for parent in [place, *map(str, Path(place).parents)]]


def affordable(
    own: Native, request: Request, device: str | None, dtype: str | None, footing: Footing
) -> Footing:
    """The footing, or the first below it that fits into the free memory of a processor, by estimate.

    Raises
    ------
    MemoryError
        The weights alone are more than the memory and the swap space that are free.
    """
    device = device or device_here()
    dtype = dtype or dtype_here(device)
    if not is_loaded(own, device, dtype):
        unload()  # what is free then counts
    room = None if has_own_memory(device) else free()
    if room is None:
        return footing
    try:
        model = sizes(own.model)
    except (OSError, ValueError, KeyError):  # reading the model will say what is wrong with it
        return footing
    room += is_loaded(own, device, dtype) * model.weights * BYTES[dtype]
    while True:
        weights, activations, cells = planned(model, own, request, device, dtype, footing)
        if weights + activations <= room:
            return footing
        lower = footing.lower(cells)
        if lower is None:
            too_large(request, dtype, model, room, weights, activations)
            return footing
        footing = dataclasses.replace(
            lower, cause=footing.cause if footing.begun else f"to fit {gigabytes(room)} of memory"
        )


def planned(
    model: Sizes, own: Native, request: Request, device: str, dtype: str, footing: Footing
) -> tuple[int, int, int]:
    """Bytes for weights and activations on that footing, and how many cells a batch has there."""
    lanes, threads = lanes_here(device, own.layout.channels < NARROW)
    latent = request.height // model.factor, request.width // model.factor
    cells = footing.batch_size or cells_together(*latent, threads)
    lanes = lanes if LEVELS[footing.memory].side_by_side else 1
    return (
        *needed(
            model,
            request.height,
            request.width,
            dtype=dtype,
            cells=cells,
            lanes=lanes,
            memory=footing.memory,
        ),
        cells,
    )


def too_large(
    request: Request, dtype: str, model: Sizes, room: int, weights: int, activations: int
) -> None:
    """Warns that even the lowest footing is too high, or raises if the weights alone are."""
    said = (
        f"{request.height}x{request.width} with model {request.model!r} in {dtype} takes about"
        f" {gigabytes(weights + activations)} with memory='lowest' ({gigabytes(weights)} of it for"
        f" the weights), and {gigabytes(room)} are free. {proposals(request, dtype, model, room)}"
    )
    if weights > room + (stated_free("SwapFree") or 0):
        raise MemoryError(said)
    warnings.warn(
        f"{said}; what goes on now may be very slow, or be ended by the system",
        RuntimeWarning,
        stacklevel=2,
    )


def what_fits(loaded: Loaded, own: Native, request: Request, error: Exception) -> str:
    """The message for a cell whose memory ran out on the lowest footing."""
    model, room = sizes(own.model), free(loaded.device)
    weights, activations = needed(
        model, request.height, request.width, dtype=loaded.dtype, cells=1, lanes=1, memory="lowest"
    )
    free_now = "" if room is None else f", and {gigabytes(room)} are free beside the weights"
    first, room = (
        (str(error).strip() or type(error).__name__).splitlines()[0],
        room and room + weights,
    )
    return (
        f"no memory for {request.height}x{request.width} with model {request.model!r} in"
        f" {loaded.dtype} on {loaded.device}, one cell at a time and with memory='lowest': it takes"
        f" about {gigabytes(weights + activations)}, {gigabytes(weights)} of it for the"
        f" weights{free_now}. {proposals(request, loaded.dtype, model, room)} ({first:.200})"
    )


def proposals(request: Request, dtype: str, model: Sizes, room: int | None) -> str:
    """What to do instead, in a sentence without its end."""
    half = dtype_here("cpu")
    fits = [
        side
        for side in SIDES
        if side * side < request.height * request.width
        and room is not None
        and sum(needed(model, side, side, dtype=dtype, cells=1, lanes=1, memory="lowest")) <= room
    ]
    ways = [f"height={fits[0]}, width={fits[0]}"] if fits else []
    ways += (
        [f"dtype={half!r}, which takes half as much"]
        if dtype == "float32" and half != dtype
        else []
    )
    return (
        "What would fit:"
        f" {', '.join([*ways, 'a smaller model', 'or more memory (close other programs)'])}"
    )


def gigabytes(size: float) -> str:
    """Bytes as "2.1 GB" or "310 MB"."""
    return (
        f"{size / 1e9:.2g} GB"
        if 1e9 <= size < 1e10
        else f"{size / 1e9:.0f} GB"
        if size > 1e9
        else f"{size / 1e6:.0f} MB"
    )
