"""What cells at work look like so far: a linear map from latents to colours, which costs little."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from PIL import Image

from ..models.pipeline import Loaded
from ..progress import Event, Listeners
from ..recipe.request import Recipe

PAUSE = 0.25  # seconds between two sketches of a job
SHARE = 0.03  # of the job's time at most, with what the listeners do
LONGEST = 128  # pixels on a sketch's longest side
_maps = weakref.WeakKeyDictionary[Any, torch.Tensor]()  # {VAE: its linear map}


class Sketches:
    """What shows the batch at work now and then, while somebody watches, at one pace for a job."""

    def __init__(self, listeners: Listeners) -> None:
        self.listeners = listeners
        self._next = 0.0
        self._lock = threading.Lock()

    def show(
        self, loaded: Loaded, batch: Sequence[Recipe], clean: Callable[[], torch.Tensor]
    ) -> None:
        """Sketches a batch, if it is time; `clean` gives its clean latents so far (B, C, h, w)."""
        if (
            not self.listeners
            or time.monotonic() < self._next
            or not self._lock.acquire(blocking=False)
        ):
            return
        try:
            with suppress(Exception):  # a sketch that cannot be drawn is no reason to lose cells
                colours = find_colours(loaded.pipe.vae)
                begun = time.monotonic()
                self._draw(batch, clean(), colours)
                self._next = begun + (time.monotonic() - begun) / (SHARE * loaded.lanes)
        finally:
            self._next = max(self._next, time.monotonic() + PAUSE)
            self._lock.release()

    def _draw(self, batch: Sequence[Recipe], latents: torch.Tensor, colours: torch.Tensor) -> None:
        for cell, own in zip(batch, latents):  # a short batch was filled up
            image = draw_sketch(own, colours, cell.width, cell.height)
            self.listeners.tell(Event("sketch", cell.key, image))


def draw_sketch(
    latents: torch.Tensor, colours: torch.Tensor, width: int, height: int
) -> Image.Image:
    """Draws latents (C, h, w) of a picture of that size as a small picture."""
    levels = latents.float().cpu().permute(1, 2, 0) @ colours[:-1] + colours[-1]  # (h, w, 3), -1..1
    levels = (levels.nan_to_num() * 127.5 + 127.5).clamp(0, 255).round().to(torch.uint8)
    scale = min(1.0, LONGEST / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(levels.numpy()).resize(size, Image.Resampling.BICUBIC)


def find_colours(vae: Any) -> torch.Tensor:
    """Finds the linear map (C + 1, 3) of a VAE, the last row its constant; fitted once."""
    if vae not in _maps:
        _maps[vae] = fit_colours(vae)
    return _maps[vae]


@torch.inference_mode()
def fit_colours(vae: Any) -> torch.Tensor:
    """Fits the least-squares map from latents to colours, on pictures of smooth random colours."""
    own = torch.Generator().manual_seed(0)
    coarse = torch.rand((8, 3, 4, 4), generator=own) * 2 - 1
    pictures = torch.nn.functional.interpolate(coarse, (64, 64), mode="bicubic").clamp(-1, 1)
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img import (
        retrieve_latents,  # once a model is loaded: importing it is not silent
    )

    made = vae.encode(pictures.to(vae.device, vae.dtype))
    latents = retrieve_latents(made, sample_mode="argmax").float().cpu() * vae.config.scaling_factor
    wanted = torch.nn.functional.adaptive_avg_pool2d(pictures, latents.shape[-2:])  # (8, 3, h, w)
    known = torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1)  # (8, C + 1, h, w)
    return torch.linalg.lstsq(*(x.movedim(1, -1).flatten(0, 2) for x in (known, wanted))).solution
