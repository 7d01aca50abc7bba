"""Recipes become pictures: cells with prompts and seeds of their own share each call of the UNet.

Every call has one constant shape, because a network's arithmetic may depend on the size of its
batch but not on what else is in it: a cell gets the same bits whatever its neighbours are. Noise is
drawn on the CPU in float32, one generator for each cell, so that a seed means the same noise in any
batch, number format and device.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..models.loras import find_encoders
from ..models.memory import copy_in_float32, has_own_memory
from ..models.packing import Packed
from ..models.pipeline import Loaded
from ..recipe.request import Recipe
from ..watermark.dwtdct import embed_watermark
from ..watermark.payloads import find_payload
from .batch_size import DECODED, DECODED_ON_CARD, count_together
from .denoise import OnStep, Step, Watch, denoise
from .encode import KEPT, Prompts, Text
from .start import Begin, Conditions, list_time_ids

Blend = Callable[[Text, Text, Begin], tuple[Text, Text, Begin]]


@dataclass(frozen=True)
class Picture:
    """What became of a cell.

    Parameters
    ----------
    image : PIL.Image.Image or None
        None if it is not even made of numbers.
    nsfw : bool or None
        The verdict of the safety checker, if there is one.
    problem, rerun : str or None
        Why there is nothing to see, and what was computed twice.
    latents : array (C, h, w), float32
        What was decoded.
    guidance_norm : float or None
        Mean over the steps of |with the prompt - without it|, of the UNet's predictions
        (arXiv 2407.21720); None if nothing was denoised.
    facts : mapping
        What else is to be recorded.
    """

    image: Any
    nsfw: bool | None
    problem: str | None
    rerun: str | None = None
    latents: Any = None
    guidance_norm: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Renderer:
    """Pictures from a loaded pipeline, in batches of one constant shape.

    Parameters
    ----------
    loaded : Loaded
        The pipeline.
    batch_size : int, optional
        Cells in one call of the UNet; by default what the size of the pictures suggests, whatever
        the plan.
    """

    def __init__(self, loaded: Loaded, batch_size: int | None = None) -> None:
        self.loaded, self._given = loaded, batch_size
        self.packed: Packed | None = None  # weights laid out once for all cells, with the same bits
        self.conditions, self._prompts = Conditions(loaded), Prompts(loaded.pipe)

    def batch_size(self, request: Recipe) -> int:
        """Counts the cells of that size that share a call."""
        if not self.loaded.choose_task(request).start:
            return 1
        size = self.loaded.find_latent_size(request)
        return self._given or count_together(*size, self.loaded.threads)

    def draw_pictures(
        self,
        requests: Sequence[Recipe],
        on_step: OnStep = lambda done, total, clean: None,
        latents: Sequence[np.ndarray] | None = None,
        *,
        watch: Watch = lambda step: None,
        blend: Blend | None = None,
    ) -> list[Picture]:
        """Renders at most `batch_size` cells of a group (see `plan.group_cells`).

        A short batch is filled up with copies of its last cell, so that the shape stays the same.
        Nothing is denoised if the finished latents (C, h, w) of each cell are given. `watch` is
        told of each step; `blend` exchanges prompts, negative prompts and start of the whole batch.
        """
        full = [min(i, len(requests) - 1) for i in range(self.batch_size(requests[0]))]
        directions: list[torch.Tensor] = []
        with self.loaded.use_winograd():
            if latents is None:
                look = partial(note_direction, directions, watch)
                batch = self._denoise([requests[i] for i in full], on_step, look, blend)
            else:
                batch = torch.from_numpy(np.stack([latents[i] for i in full]))
                batch = batch.to(self.loaded.device)
            found = self._inspect(batch, requests)
        norms, own = average_norms(directions, len(full)), batch.cpu().numpy()
        return [
            dataclasses.replace(picture, latents=each, guidance_norm=norm)
            for picture, each, norm in zip(found, own, norms)
        ]

    def _denoise(
        self, cells: Sequence[Recipe], on_step: OnStep, watch: Watch, blend: Blend | None = None
    ) -> torch.Tensor:
        """Makes the finished latents of a whole batch (B, C, h, w)."""
        first, pipe = cells[0], self.loaded.pipe
        if not self.loaded.choose_task(first).start:
            return enlarge_latents(
                self.loaded, first, *self.conditions.prepare_enlarging(first), on_step
            )
        cond, uncond = self.encode_texts(cells)
        begin = self.conditions.begin(cells)
        if blend is not None:
            cond, uncond, begin = blend(cond, uncond, begin)
        with self.packed.use() if self.packed else nullcontext():
            return denoise(
                pipe.unet,
                self.loaded.scheduler(first.scheduler),
                cond.words,
                uncond.words,
                added=add_sizes(cells, cond, uncond),
                seeds=[c.seed for c in cells],
                guidance_scale=[c.guidance_scale for c in cells],
                guidance_rescale=[c.guidance_rescale or 0.0 for c in cells],
                num_inference_steps=first.num_inference_steps,
                eta=first.eta,
                begin=begin,
                on_step=on_step,
                watch=watch,
            )

    def encode_texts(self, cells: Sequence[Recipe]) -> tuple[Text, Text]:
        """Encodes the prompts and the negative prompts."""
        if has_own_memory(self.loaded.device):
            self._prompts.encode_together(cells)
        cond, uncond = zip(*map(self._prompts.encode_both, cells))
        return Text.join(cond), Text.join(uncond)

    def _inspect(self, latents: torch.Tensor, requests: Sequence[Recipe]) -> list[Picture]:
        """Decodes latents (B, C, h, w), those that half precision spoils a second time."""
        vae = self.loaded.pipe.vae
        found = self._decode(vae, latents, requests)
        spoiled = [
            i
            for i, picture in enumerate(found)
            if picture.problem and torch.isfinite(latents[i]).all()
        ]
        if spoiled and (vae := copy_in_float32(vae)):
            again = self._decode(vae, latents, requests)
            for i in spoiled:
                if not again[i].problem:
                    rerun = f"{found[i].problem} in {self.loaded.dtype}, decoded again in float32"
                    found[i] = dataclasses.replace(again[i], rerun=rerun)
        return found

    def _decode(self, vae: Any, latents: torch.Tensor, requests: Sequence[Recipe]) -> list[Picture]:
        """Decodes latents (B, C, h, w), B at least the number of requests."""
        pixels = decode(vae, latents, self._count_decoded(requests[0], len(latents)))
        parts = pixels[: len(requests)].flatten(1)
        seen = torch.stack([parts.isfinite().all(1), (parts * 255).round().any(1)])
        return [
            self._look_at(own, request.watermark, *flags)
            for own, request, flags in zip(pixels, requests, seen.T.tolist())
        ]

    def drop_text_encoder(self, requests: Sequence[Recipe]) -> bool:
        """Encodes all prompts, and takes the text encoder out of the pipeline.

        False if the prompts are too many, or the text encoder is needed.
        """
        how = {
            (text, r.clip_skip, r.prompt_syntax)
            for r in requests
            for text in (r.prompt, r.negative_prompt)
        }
        if 2 * len(how) > KEPT or not self.loaded.choose_task(requests[0]).start:
            return False
        try:
            for request in requests:
                self._prompts.encode_both(request)
        except Exception:  # the cells concerned will say so
            return False
        for name in find_encoders(self.loaded.pipe):
            setattr(self.loaded.pipe, name, None)
        return True

    def _look_at(
        self, pixels: torch.Tensor, watermark: str | None, finite: bool, lit: bool
    ) -> Picture:
        """Looks at a picture (3, H, W) in 0..1: no numbers, or nothing but black, are a problem."""
        if not finite:
            return Picture(None, None, "not a number")
        nsfw = self._ask_checker(pixels)
        levels = pixels * (0 if nsfw else 255)  # diffusers blackens what is refused, too
        if watermark is None and has_own_memory(self.loaded.device):
            levels = levels.round().to(torch.uint8)  # a quarter to bring from a card
        image = finish_picture(levels.permute(1, 2, 0).cpu().numpy(), watermark)
        return Picture(image, nsfw, None if lit or nsfw else "black")

    def _ask_checker(self, pixels: torch.Tensor) -> bool | None:
        """Asks the checkpoint's safety checker whether it refuses; None if it has none."""
        pipe = self.loaded.pipe
        if getattr(pipe, "safety_checker", None) is None:
            return None
        _, flags, *_ = pipe.run_safety_checker(
            pixels[None] * 2 - 1, self.loaded.device, pipe.unet.dtype
        )
        return bool(flags[0])

    def _count_decoded(self, request: Recipe, size: int) -> int:
        """Counts the pictures that the VAE takes at once: the largest divisor of the batch."""
        pixels = DECODED_ON_CARD if has_own_memory(self.loaded.device) else DECODED
        most = max(1, pixels // (request.height * request.width))
        return max(n for n in range(1, size + 1) if size % n == 0 and n <= most)


def note_direction(norms: list[torch.Tensor], watch: Watch, step: Step) -> None:
    """Adds the lengths (B,) of what the prompt adds to a prediction, and lets others watch."""
    norms.append((step.with_text - step.without).flatten(1).norm(dim=1))
    watch(step)


def average_norms(norms: Sequence[torch.Tensor], cells: int) -> list[float | None]:
    """Averages over the steps the lengths (B,) of each cell; None without steps or numbers."""
    if not norms:
        return [None] * cells
    means = torch.stack(list(norms)).mean(0).tolist()
    return [float(f"{mean:.6g}") if math.isfinite(mean) else None for mean in means]


def add_sizes(cells: Sequence[Recipe], cond: Text, uncond: Text) -> dict[str, torch.Tensor] | None:
    """Adds what SDXL's UNet reads beside the words: the texts as a whole, sizes and crops."""
    if cond.pooled is None or uncond.pooled is None:
        return None
    told = [list_time_ids(cell, negative) for negative in (True, False) for cell in cells]
    ids = torch.tensor(told, dtype=torch.float32, device=cond.pooled.device)  # (2 B, 6 or 5)
    return {"text_embeds": torch.cat([uncond.pooled, cond.pooled]), "time_ids": ids}


@torch.inference_mode()
def enlarge_latents(
    loaded: Loaded,
    cell: Recipe,
    small: torch.Tensor,
    noise: torch.Tensor,
    on_step: Callable[[int, int, None], None],
) -> torch.Tensor:
    """Makes the finished latents (1, C, h, w), float32, of one cell of the x2 upscaler.

    It runs in diffusers' own pipeline, for its UNet, of K-diffusion's design, predicts in other
    units. As in diffusers, a guidance_scale of 0 leaves out both prompts, and one above 0 and up to
    1 the negative prompt alone.

    Parameters
    ----------
    small : tensor (1, C, h / 2, w / 2)
        Scaled latents of the picture to enlarge.
    noise : tensor (1, C, h, w)
        With a standard deviation of 1. Both are given, so that they are drawn in float32 whatever
        the pipeline computes in.
    on_step : callable
        As for `denoise`; there are no clean latents to tell.
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


@torch.inference_mode()
def decode(vae: Any, latents: torch.Tensor, rows: int) -> torch.Tensor:
    """Decodes latents (B, C, h, w) to (B, 3, H, W) in 0..1, `rows` at a time, which divide B."""
    scaled = (latents / vae.config.scaling_factor).to(vae.dtype)
    pictures = [vae.decode(part, return_dict=False)[0].float() for part in scaled.split(rows)]
    return (torch.cat(pictures) / 2 + 0.5).clamp(0, 1)  # NaN stays NaN


def finish_picture(levels: np.ndarray, watermark: str | None) -> Image.Image:
    """Makes the picture of levels (H, W, 3), float32 in 0..255, with an invisible mark if asked.

    As in the official programs, a uint8 payload goes into the rounded levels, and a float32 payload
    in before that.
    """
    if watermark is None:
        return Image.fromarray(levels.round().astype(np.uint8))
    payload = find_payload(watermark)
    if payload.arithmetic == "uint8":
        return Image.fromarray(embed_watermark(levels.round().astype(np.uint8), payload))
    marked = embed_watermark(levels, payload).clip(0, 255)
    return Image.fromarray((marked if payload.cut else marked.round()).astype(np.uint8))
