"""The x2 upscaler of latents, in diffusers' own pipeline: its UNet, of K-diffusion's design, predicts in other units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..models.pipeline import Loaded
from ..recipe.request import Request


@torch.inference_mode()
def enlarged(
    loaded: Loaded,
    cell: Request,
    small: torch.Tensor,
    noise: torch.Tensor,
    on_step: Callable[[int, int, None], None],
) -> torch.Tensor:
    """The finished latents (1, C, h, w), float32, of one cell.

    As in diffusers, a guidance_scale of 0 leaves out both prompts, and one above 0 and up to 1 the
    negative prompt alone.

    Parameters
    ----------
    small : tensor (1, C, h / 2, w / 2)
        Scaled latents of the picture to enlarge.
    noise : tensor (1, C, h, w)
        With a standard deviation of 1. Both are given, so that they are drawn in float32 whatever
        the pipeline computes in.
    on_step : callable
        As for `render.denoise`; there are no clean latents to tell.
    """
    scheduler = loaded.scheduler(cell.scheduler)  # it counts the steps, so each lane needs its own
    pipe = type(loaded.pipe)(**loaded.pipe.components | {"scheduler": scheduler})
    steps, dtype = cell.num_inference_steps, pipe.unet.dtype
    pipe.set_progress_bar_config(disable=True)

    def after(i: int, timestep: Any, latents: torch.Tensor) -> None:
        if i + 1 < steps:
            on_step(i + 1, steps, None)

    on_step(0, steps, None)
    made = pipe(
        cell.prompt,
        small.to(dtype),
        negative_prompt=cell.negative_prompt,
        guidance_scale=cell.guidance_scale,
        num_inference_steps=steps,
        latents=noise.to(dtype),
        output_type="latent",
        callback=after,
    )
    return made.images.float()
