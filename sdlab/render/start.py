"""What a task gives the denoising loop besides texts: the start, more channels, what stays.

Each cell has its own row in every tensor, made alone: its bits do not depend on its neighbours.
Random numbers are drawn from a cell's generator in the order in which diffusers' own pipelines draw
them, so that a seed means the same picture there and here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..models.pipeline import Loaded
from ..models.tasks import count_steps
from ..pictures import read_picture
from ..recipe.request import Recipe
from ..recipe.sizes import read_pair
from .encode import Latest

BETWEEN = "KDPM2DiscreteScheduler", "DPMSolverSDEScheduler"  # `add_noise` knows their steps alone
KEPT = 64  # prepared pictures, each with what was made of it
Generators = Sequence[torch.Generator]


@dataclass(frozen=True)
class Outside:
    """What inpainting with 4 channels puts back after each step, as noisy as the result."""

    known: torch.Tensor  # (B, C, h, w), without noise
    noise: torch.Tensor  # (B, C, h, w)
    mask: torch.Tensor  # (B, 1, h, w), 1 where the picture is painted anew

    def put_back(self, x: torch.Tensor, scheduler: Any, following: Any | None) -> torch.Tensor:
        """Puts back the outside, as noisy as the following timestep, or clean after the last.

        Between two steps, `add_noise` of some schedulers gives the level of a step, and diffusers'
        own inpainting an outside with .28 to .95 of the noise; here it has all.
        """
        known = self.known
        if following is None:
            pass
        elif type(scheduler).__name__ in BETWEEN and not scheduler.state_in_first_order:
            scale = scheduler.scale_model_input(torch.ones((), dtype=torch.float64), following)
            known = known + self.noise * float(1 / scale**2 - 1) ** 0.5
        else:
            known = scheduler.add_noise(known, self.noise, torch.tensor([following]))
        return (1 - self.mask) * known + self.mask * x


@dataclass(frozen=True)
class Start:
    """Where a loop begins, and what goes into each call of the UNet."""

    latents: torch.Tensor  # (B, C, h, w), as noisy as the first timestep says
    timesteps: torch.Tensor
    channels: torch.Tensor | None = None  # (B, c, h, w), behind the latents
    labels: torch.Tensor | None = None  # (B,), whole numbers
    image_weight: torch.Tensor | None = None  # (B, 1, 1, 1), of seeing `channels` at all
    outside: Outside | None = None


Begin = Callable[
    [Any, Generators, int], Start
]  # of a scheduler, the cells' generators and the number of steps


def from_noise(shape: tuple[int, int, int], device: Any) -> Begin:
    """Makes what begins with nothing but noise, latents of shape (C, h, w), as txt2img does."""

    def begin(scheduler: Any, generators: Generators, steps: int) -> Start:
        timesteps = cut_timesteps(scheduler, None, steps)
        noise = draw_noise(shape, generators).to(device)
        return Start(noise * scheduler.init_noise_sigma, timesteps)

    return begin


def list_time_ids(cell: Recipe, negative: bool = False) -> list[float]:
    """Lists what SDXL is told of a picture: its size before, its crop, and the size asked for.

    Its refiner is told of beauty in place of the last, and of the negative prompt no crop
    (arXiv 2307.01952, section 2.2, and diffusers' pipelines).
    """
    size = cell.height, cell.width
    original, target = (
        read_pair(pair) if pair else size for pair in (cell.original_size, cell.target_size)
    )
    crop = read_pair(cell.crops_coords_top_left or "(0, 0)")
    if cell.aesthetic_score is None:
        return [*original, *crop, *target]
    if negative:
        return [*original, 0, 0, cell.negative_aesthetic_score or 0.0]
    return [*original, *crop, cell.aesthetic_score]


def draw_noise(shape: tuple[int, ...], generators: Generators) -> torch.Tensor:
    """Draws noise (B, *shape), float32 on the CPU, each row from its own generator."""
    return torch.cat([torch.randn((1, *shape), generator=each) for each in generators])


def cut_timesteps(scheduler: Any, strength: float | None, steps: int) -> torch.Tensor:
    """Cuts off the timesteps that a strength leaves out, and tells the scheduler so.

    Unlike diffusers' text-to-image, it tells the scheduler of the first one too: a schedule may
    begin with one timestep twice, which a scheduler cannot tell apart. And PNDM, which takes its
    first step twice, does so wherever it begins; diffusers' img2img leaves that out, so that each
    call then is told the timestep of the next.
    """
    first = (steps - count_steps(strength, steps)) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    if first and type(scheduler).__name__ == "PNDMScheduler":
        left = scheduler.timesteps[first + 1 :]  # the list has its second timestep twice
        return torch.cat([left[:2], left[1:]])
    return scheduler.timesteps[first:]


def start_from(
    known: torch.Tensor,
    noise: torch.Tensor,
    scheduler: Any,
    strength: float | None,
    steps: int,
    *,
    whole: bool = False,
) -> Start:
    """Starts with known latents (B, C, h, w) under noise; if `whole`, strength 1 is noise alone."""
    timesteps = cut_timesteps(scheduler, strength, steps)
    if whole and strength == 1:
        return Start(noise * scheduler.init_noise_sigma, timesteps)
    return Start(scheduler.add_noise(known, noise, timesteps[:1].repeat(len(noise))), timesteps)


@dataclass
class Conditions:
    """The input pictures of cells, prepared for one pipeline; what was encoded is kept."""

    loaded: Loaded
    _latest: Latest = field(default_factory=lambda: Latest(KEPT))

    def begin(self, cells: Sequence[Recipe]) -> Begin:
        """Gives what begins a batch of one task, size, strength and number of steps."""
        start = getattr(self, f"_{self.loaded.choose_task(cells[0]).start}")
        return lambda scheduler, generators, steps: start(cells, scheduler, generators, steps)

    def _from_noise(
        self, cells: Sequence[Recipe], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        shape = (
            self.loaded.pipe.vae.config.latent_channels,
            *self.loaded.find_latent_size(cells[0]),
        )
        return from_noise(shape, self.loaded.device)(scheduler, generators, steps)

    def _from_picture(
        self, cells: Sequence[Recipe], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        known = self._sample([self._moments(cell) for cell in cells], generators)  # (B, C, h, w)
        noise = draw_noise(known.shape[1:], generators).to(known)
        return start_from(known, noise, scheduler, cells[0].strength, steps)

    def _with_depth(
        self, cells: Sequence[Recipe], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        start = self._from_picture(cells, scheduler, generators, steps)
        return Start(
            start.latents, start.timesteps, torch.cat([self._depth(cell) for cell in cells])
        )

    def _inside_mask(
        self, cells: Sequence[Recipe], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        """Puts the outside back after each step (arXiv 2201.09865), or has the UNet see it."""
        pipe, strength = self.loaded.pipe, cells[0].strength
        sees = pipe.unet.config.in_channels > pipe.vae.config.latent_channels
        known: Any = None
        if strength != 1 or not sees:  # contiguous as in diffusers, for a convolution's bits
            known = self._sample([self._moments(cell) for cell in cells], generators).contiguous()
        mask = torch.cat([self._mask(cell)[1] for cell in cells])  # (B, 1, h, w)
        masked_moments = [self._moments(cell, masked=True) for cell in cells]
        noise = draw_noise((pipe.vae.config.latent_channels, *mask.shape[2:]), generators).to(mask)
        # drawn in any case, as in diffusers: what follows depends on it
        masked = self._sample(masked_moments, generators)
        start = start_from(known, noise, scheduler, strength, steps, whole=True)
        if sees:
            return replace(start, channels=torch.cat([mask, masked], dim=1))
        return replace(start, outside=Outside(known, noise, mask))

    def _beside_picture(
        self, cells: Sequence[Recipe], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        """Puts the picture's latents, not sampled or scaled, beside noise: arXiv 2211.09800.

        Those of AutoencoderTiny are scaled already, which is undone here (and not in diffusers).
        """
        start = self._from_noise(cells, scheduler, generators, steps)
        channels = self.loaded.pipe.vae.config.latent_channels
        known = torch.cat([self._moments(cell)[:, :channels] for cell in cells])  # (B, C, h, w)
        if is_tiny(self.loaded.pipe.vae):
            known = known / self.loaded.own.vae.config.scaling_factor
        weights = torch.tensor([cell.image_guidance_scale for cell in cells], device=known.device)
        return Start(start.latents, start.timesteps, known, image_weight=weights.view(-1, 1, 1, 1))

    def _enlarging(
        self, cells: Sequence[Recipe], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        """Puts the small picture, with noise of its own, beside the latents, pixel by pixel."""
        pipe = self.loaded.pipe
        small = torch.cat(
            [self._pixels(cell.image, self.loaded.find_latent_size(cell)) for cell in cells]
        ).to(self.loaded.device)
        levels = torch.tensor([cell.noise_level for cell in cells], device=small.device)  # (B,)
        small = pipe.low_res_scheduler.add_noise(
            small, draw_noise(small.shape[1:], generators).to(small), levels
        )
        shape = (pipe.vae.config.latent_channels, *small.shape[2:])
        start = from_noise(shape, small.device)(scheduler, generators, steps)
        return Start(start.latents, start.timesteps, small, levels)

    @torch.inference_mode()
    def prepare_enlarging(self, cell: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
        """Prepares a cell of the x2 upscaler.

        Returns
        -------
        two tensors, float32
            The small picture's latents (1, C, h / 2, w / 2), and noise (1, C, h, w).
        """
        own = [torch.Generator("cpu").manual_seed(cell.seed)]
        small = self._sample([self._moments(cell, parts=2)], own)
        return small, draw_noise((small.shape[1], *self.loaded.find_latent_size(cell)), own).to(
            small
        )

    # Pictures as tensors, one at a time

    def _pixels(self, name: str, size: tuple[int, int]) -> torch.Tensor:
        """Reads an input picture (1, 3, height, width), -1..1, stretched as diffusers does it."""
        return self.loaded.pipe.image_processor.preprocess(read_picture(name), *size)

    def _mask(self, cell: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
        """Reads the mask as (1, 1, height, width) on the CPU and as (1, 1, h, w), both 0 or 1."""
        from diffusers.image_processor import VaeImageProcessor  # which a preview need not wait for

        factor = self.loaded.pipe.vae_scale_factor
        grey = VaeImageProcessor(
            vae_scale_factor=factor, do_normalize=False, do_binarize=True, do_convert_grayscale=True
        )
        large = grey.preprocess(read_picture(cell.mask_image), cell.height, cell.width)
        small = torch.nn.functional.interpolate(
            large, (cell.height // factor, cell.width // factor)
        )
        return large, small.to(self.loaded.device)

    def _moments(self, cell: Recipe, masked: bool = False, parts: int = 1) -> torch.Tensor:
        """Encodes the picture, or what is outside the mask, at 1 / `parts` of the cell's size.

        Returns
        -------
        tensor (1, 2 C, h, w), float32
            Means and log variances; of AutoencoderTiny the latents (1, C, h, w).
        """
        vae, size = self.loaded.pipe.vae, (cell.height // parts, cell.width // parts)

        def encode() -> torch.Tensor:
            pixels = self._pixels(cell.image, size)
            if masked:
                pixels = pixels * (self._mask(cell)[0] < 0.5)
            found = vae.encode(pixels.to(self.loaded.device, vae.dtype))
            return (found.latents if is_tiny(vae) else found.latent_dist.parameters).float()

        return self._latest.get(
            ("moments", cell.image, cell.mask_image if masked else None, size), encode
        )

    def _sample(self, moments: Sequence[torch.Tensor], generators: Generators) -> torch.Tensor:
        """Samples latents (B, C, h, w), float32, scaled, one a cell."""
        from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

        config = self.loaded.pipe.vae.config
        samples = [
            each  # nothing is drawn, as in diffusers
            if each.shape[1] == config.latent_channels
            else DiagonalGaussianDistribution(each).sample(own)
            for each, own in zip(moments, generators)
        ]
        return torch.cat(samples) * config.scaling_factor

    def _depth(self, cell: Recipe) -> torch.Tensor:
        """Gives nearness (1, 1, h, w), -1..1, as given or as the checkpoint estimates it."""

        def scale() -> torch.Tensor:
            if cell.depth_map is None:
                depth = self._estimate_depth(read_picture(cell.image))
            else:
                depth = read_levels(read_picture(cell.depth_map))
            depth = torch.nn.functional.interpolate(
                depth[:, None].to(self.loaded.device, torch.float32),
                self.loaded.find_latent_size(cell),
                mode="bicubic",
                align_corners=False,
            )
            least, most = depth.amin(), depth.amax()
            return 2 * (depth - least) / (most - least or 1) - 1  # a flat map is far away

        return self._latest.get(
            ("depth", cell.depth_map or cell.image, cell.height, cell.width), scale
        )

    def _estimate_depth(self, image: Image.Image) -> torch.Tensor:
        """Estimates nearness (1, height, width), larger where it is nearer."""
        pipe, device = self.loaded.pipe, self.loaded.device
        if getattr(pipe, "depth_estimator", None) is None:
            raise ValueError(
                "this checkpoint has no depth estimator; give depth_map=, a picture that is light"
                " where it is near"
            )
        estimator = pipe.depth_estimator
        pixels = pipe.feature_extractor(images=[image], return_tensors="pt").pixel_values.to(
            device, estimator.dtype
        )
        half = estimator.dtype != torch.float32  # which batch norms do not take, diffusers says
        kind = str(device).split(":")[0]
        with torch.autocast(kind, dtype=estimator.dtype) if half else nullcontext():
            return estimator(pixels).predicted_depth


def read_levels(image: Image.Image) -> torch.Tensor:
    """Reads a grey picture as (1, height, width), 0..255."""
    return torch.from_numpy(np.array(image, np.float32))[None]


def is_tiny(vae: Any) -> bool:
    """Tells whether a VAE is one whose encoder gives latents, without a spread to draw from."""
    from diffusers import AutoencoderTiny  # which a preview need not wait for

    return isinstance(vae, AutoencoderTiny)
