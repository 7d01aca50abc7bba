"""The levels of `memory=`: how a pipeline takes less, and what follows when memory runs out.

What each measure saves and costs, on networks of Stable Diffusion v1's size at 512x512, one
processor thread, bfloat16 (float32 in brackets); weights are 2.1 GB (4.3 GB):

- One lane, not two: half of all activations, 0.46 GB (1.05 GB) less. A batch takes all threads,
  and the last bits of a picture change.
- Tiles of 256 pixels: decoding takes 0.26, not 0.46 GB (0.44, not 1.05 GB), and 1.3 times the time.
  Colours differ by 0.7 of 255 on average with tiny-v1, where 64 of 128 pixels are a tile.
- A row in each call: the UNet takes 0.12, not 0.21 GB (0.27, not 0.53 GB); a step 1.0 times the
  time, at 256x256 1.5 times. Pictures differ by 1e-6.
- No text encoder: 0.25 GB (0.49 GB) less; the model is read again for the next group.
- Layers visit the card: what the networks weigh, for a copy of them in each call: on an H100, one
  after the other, all of them took .17 GB and 19 times the time. The UNet's are fetched ahead from
  pinned memory now, while others compute (not yet measured). The bits are the same.

Not used, because here they do not help: attention slicing (0.20 GB where torch's own attention
takes 0.12 GB), and VAE slicing (a few pictures at a time are decoded anyway).
"""

from __future__ import annotations

import copy
import ctypes
import dataclasses
import gc
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

SAYS = re.compile(  # CUDA and MPS, torch on Linux, on Windows, NumPy, oneDNN, the system
    "out of memory|can't allocate memory|not enough memory|unable to allocate|could not create a"
    " memory|cannot allocate memory|posix_memalign failed",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Level:
    """One way to use memory.

    Parameters
    ----------
    side_by_side : bool
        Batches in several lanes on the CPU, each with its own activations; otherwise one cell at a
        time.
    tile : int, optional
        Side, in pixels, of the tiles in which the VAE takes larger pictures. They overlap by a
        quarter and are blended; a tile's colours depend on that tile alone, so the picture is a
        slightly different one.
    alone : bool
        The UNet gets a single row in each call: prompt and negative prompt one after the other.
    drop_text : bool
        On the CPU the text encoder is let go once a group's prompts are encoded, and the model read
        again for the next group.
    visiting : "seldom", "all" or ""
        Which networks stay in the processor's memory, from where single layers visit the graphics
        card as they are needed: none, all, or those that compute once for a picture.
    """

    side_by_side: bool = True
    tile: int | None = None
    alone: bool = False
    drop_text: bool = False
    visiting: str = ""


# The networks of all pipelines that compute in each step; others compute once for a picture
OFTEN = ("unet", "transformer", "transformer_2", "decoder", "prior", "prior_prior")
LEVELS = {
    "auto": Level(),
    "low": Level(side_by_side=False, tile=512, visiting="seldom"),
    "lower": Level(side_by_side=False, tile=256, drop_text=True, visiting="all"),
    "lowest": Level(side_by_side=False, tile=256, alone=True, drop_text=True, visiting="all"),
}


LIMIT = re.compile(r"(\d+(?:\.\d+)?) ?GB")


def read_limit(memory: str) -> int | None:
    """Reads how many bytes to take at most from such as "4GB"; None from a level's name."""
    match = LIMIT.fullmatch(memory)
    return round(float(match[1]) * 1e9) if match else None


@dataclass(frozen=True)
class Footing:
    """How a group is rendered: the level, the cells in a call, and where it began.

    `batch_size` None is what the pictures' size suggests. `cause` says why it is no longer as it
    began.
    """

    memory: str = "auto"
    batch_size: int | None = None
    begun: tuple[str, int] | None = None
    cause: str = "after out of memory"

    def lower(self, batch_size: int) -> Footing | None:
        """Finds the next one down from batches of that size, or None.

        First it is half the batch, then the next level, a cell at a time.
        """
        begun = self.begun or (self.memory, batch_size)
        if batch_size > 1:
            return dataclasses.replace(self, batch_size=batch_size // 2, begun=begun)
        below = list(LEVELS)[list(LEVELS).index(self.memory) + 1 :]
        if not below:
            return None
        return dataclasses.replace(self, memory=below[0], batch_size=1, begun=begun)

    def __str__(self) -> str:
        """Says what was changed on the way, such as "batch 8 -> 2 after out of memory"."""
        if self.begun is None:
            return ""
        memory, batch_size = self.begun
        changes = [f"memory {memory} -> {self.memory}"] if memory != self.memory else []
        changes += (
            [f"batch {batch_size} -> {self.batch_size}"] if batch_size != self.batch_size else []
        )
        return f"{', '.join(changes)} {self.cause}"


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether the error, of whatever library, is for want of memory."""
    import torch

    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, Exception) and SAYS.search(str(error)) is not None
    )


def release(cycles: bool = True) -> None:
    """Gives back what nobody uses any more: of cycles, of a card, and of the C library's heap.

    Looking for cycles takes a quarter of a second; a pipeline has none, unless it was changed to
    take less.
    """
    if cycles:
        gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def has_own_memory(device: str) -> bool:
    """Tells whether a device has memory of its own, as a graphics card has, "cpu" and "mps" not."""
    return str(device).split(":")[0] not in ("cpu", "mps")


def settle(pipe: Any, device: str, memory: str) -> None:
    """Puts a pipeline from the processor's memory on its device, as the level asks for."""
    level = LEVELS[memory]
    visiting = level.visiting if has_own_memory(device) else ""
    for name, part in pipe.components.items():
        if not hasattr(part, "parameters"):
            continue
        if visiting == "all" or (visiting and name not in OFTEN):
            visit(part, device, ahead=name == "unet" and device.startswith("cuda"))
        else:
            part.to(device)


def visit(part: Any, device: str, *, ahead: bool = False) -> None:
    """Has each layer of a network visit the device, from the processor's memory, to compute.

    The next one is fetched meanwhile if `ahead`, for which all must compute in each call, as those
    of a UNet do and those of a VAE do not.
    """
    import torch
    from diffusers.hooks import apply_group_offloading

    here, there = torch.device("cpu"), torch.device(device)
    apply_group_offloading(
        part,
        onload_device=there,
        offload_device=here,
        offload_type="leaf_level",
        use_stream=ahead,
        non_blocking=ahead,
    )


def tile_vae(vae: Any, memory: str, whole: bool = False) -> None:
    """Has the VAE take large pictures in tiles, if the level asks for that, or `whole`."""
    side = LEVELS[memory].tile
    if side and whole:
        vae.disable_tiling()
    elif side and hasattr(vae, "enable_tiling"):
        vae.enable_tiling()
    widths = getattr(getattr(vae, "config", None), "block_out_channels", None)
    if side and widths and hasattr(vae, "tile_latent_min_size"):  # others know their own
        factor = 2 ** (len(widths) - 1)
        vae.tile_sample_min_size = side
        vae.tile_latent_min_size = side // factor
        vae.spatial_scale_factor = factor  # AutoencoderTiny takes 8 for granted


def copy_in_float32(vae: Any) -> Any | None:
    """Copies a VAE of half precision in float32; None if it is none, or visits its device."""
    import torch

    if vae.dtype == torch.float32 or vae.device != next(vae.parameters()).device:
        return None
    return copy.deepcopy(vae).float()


def split_rows(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a UNet's forward that calls the given one for each row of a batch (B, C, H, W)."""
    import torch
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

    def of_row(value: Any, i: int, rows: int) -> Any:
        if isinstance(value, dict):
            return {name: of_row(each, i, rows) for name, each in value.items()}
        of_batch = torch.is_tensor(value) and value.ndim and len(value) == rows
        return value[i : i + 1] if of_batch else value

    def alone(sample: Any, *args: Any, return_dict: bool = True, **kwargs: Any) -> Any:
        rows = len(sample)
        found = [
            forward(
                sample[i : i + 1],
                *[of_row(value, i, rows) for value in args],
                return_dict=False,
                **{name: of_row(value, i, rows) for name, value in kwargs.items()},
            )[0]
            for i in range(rows)
        ]
        return UNet2DConditionOutput(torch.cat(found)) if return_dict else (torch.cat(found),)

    return alone
