"""The levels of `memory=`: how a pipeline is made to take less, and what follows when memory runs out all the same.

What each measure saves and costs, on networks of Stable Diffusion v1's size at 512x512, one
processor thread, bfloat16 (float32 in brackets); weights are 2.1 GB (4.3 GB):

======================  ==================================================  ================================================
measure                 memory                                              time, and pictures
======================  ==================================================  ================================================
one lane, not two       half of all activations: 0.46 GB (1.05 GB) less     a batch takes all threads: the last bits change
tiles of 256 pixels     decoding 0.26, not 0.46 GB (0.44, not 1.05 GB)      1.3 times a decode; 0.7 of 255 on average with
                                                                            tiny-v1, where 64 of 128
                                                                            pixels are a tile
a row in each call      UNet 0.12, not 0.21 GB (0.27, not 0.53 GB)          1.0 times a step, 1.5 times at 256x256; 1e-6
no text encoder         0.25 GB (0.49 GB) less                              the model is read again for the next group
layers visit the card   what the networks weigh (never measured)            a copy of them in each call; the same bits
======================  ==================================================  ================================================

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
    " memory|cannot allocate memory",
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
    visiting : tuple of str
        Networks that stay in the processor's memory, from where single layers visit the graphics
        card as they are needed.
    """

    side_by_side: bool = True
    tile: int | None = None
    alone: bool = False
    drop_text: bool = False
    visiting: tuple[str, ...] = ()


SELDOM = (
    "text_encoder",
    "vae",
    "safety_checker",
    "depth_estimator",
)  # they compute once for a picture, not in each step
LEVELS = {
    "auto": Level(),
    "low": Level(side_by_side=False, tile=512, visiting=SELDOM),
    "lowest": Level(
        side_by_side=False, tile=256, alone=True, drop_text=True, visiting=("unet", *SELDOM)
    ),
}


@dataclass(frozen=True)
class Footing:
    """How a group is rendered at the moment: the level, the cells in a call, and where it began.

    `batch_size` None is what the pictures' size suggests. `cause` says why it is no longer as it
    began.
    """

    memory: str = "auto"
    batch_size: int | None = None
    begun: tuple[str, int] | None = None
    cause: str = "after out of memory"

    def lower(self, batch_size: int) -> Footing | None:
        """The next one down from batches of that size, or None: first half the batch, then the next level, a cell at a time."""
        begun = self.begun or (self.memory, batch_size)
        if batch_size > 1:
            return dataclasses.replace(self, batch_size=batch_size // 2, begun=begun)
        below = list(LEVELS)[list(LEVELS).index(self.memory) + 1 :]
        return (
            dataclasses.replace(self, memory=below[0], batch_size=1, begun=begun) if below else None
        )

    def __str__(self) -> str:
        """What was changed on the way, such as "batch 8 -> 2 after out of memory"; empty if nothing was."""
        if self.begun is None:
            return ""
        memory, batch_size = self.begun
        changes = [f"memory {memory} -> {self.memory}"] if memory != self.memory else []
        changes += (
            [f"batch {batch_size} -> {self.batch_size}"] if batch_size != self.batch_size else []
        )
        return f"{', '.join(changes)} {self.cause}"


def out_of_memory(error: BaseException) -> bool:
    """Whether the error, of whatever library, says that there was not enough memory."""
    import torch

    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, Exception) and SAYS.search(str(error)) is not None
    )


def release(cycles: bool = True) -> None:
    """Gives back what nobody uses any more: cycles, what torch keeps of a card, and what the C library keeps of the heap.

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
    """Whether the device's memory is another than the processor's: a graphics card, not "cpu", and not Apple's "mps"."""
    return str(device).split(":")[0] not in ("cpu", "mps")


def settle(pipe: Any, device: str, memory: str) -> None:
    """Puts a pipeline, read into the processor's memory, on its device, as sparing as the level asks for."""
    level = LEVELS[memory]
    visiting = level.visiting if has_own_memory(device) else ()
    for name, part in pipe.components.items():
        if name in visiting and part is not None:
            visit(part, device)
        elif hasattr(part, "parameters"):
            part.to(device)
    if level.alone:
        pipe.unet.forward = row_by_row(pipe.unet.forward)


def visit(part: Any, device: str) -> None:
    """Has each layer of a network visit the device whenever it computes, on its way from and to the processor's memory."""
    import torch
    from diffusers.hooks import apply_group_offloading

    here, there = torch.device("cpu"), torch.device(device)
    apply_group_offloading(
        part, onload_device=there, offload_device=here, offload_type="leaf_level"
    )


def in_tiles(vae: Any, memory: str) -> None:
    """Has the VAE take large pictures in tiles, if the level asks for that; otherwise nothing is changed."""
    side = LEVELS[memory].tile
    if side:
        vae.enable_tiling()
        vae.tile_sample_min_size = side
        vae.tile_latent_min_size = side // 2 ** (len(vae.config.block_out_channels) - 1)


def in_float32(vae: Any) -> Any | None:
    """A copy of a VAE of half precision in float32; None if it is no such VAE, or its layers only visit its device."""
    import torch

    if vae.dtype == torch.float32 or vae.device != next(vae.parameters()).device:
        return None
    return copy.deepcopy(vae).float()


def row_by_row(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A UNet's forward, called once for each row of its batch; the answers (B, C, H, W) are returned as it returns them."""
    import torch
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

    def of_row(value: Any, i: int, rows: int) -> Any:
        return (
            value[i : i + 1]
            if torch.is_tensor(value) and value.ndim and len(value) == rows
            else value
        )

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
