"""What a batch's task gives the denoising loop besides texts: where it starts, more channels for the UNet, what stays.

Each cell has its own row in every tensor, made alone: its bits do not depend on its neighbours.
Random numbers are drawn from a cell's generator in the order in which diffusers' own pipelines draw
them, so that a seed means the same picture there and here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image

from ..models.pipeline import Loaded
from ..models.tasks import count_steps
from ..pictures import read_picture
from ..recipe.request import Request
from .encode import Latest

KEPT = 64  # prepared pictures, each with what was made of it
Generators = Sequence[torch.Generator]


@dataclass(frozen=True)
class Outside:
    """What inpainting with a UNet of 4 channels puts back after each step: the rest of the picture, as noisy as the result."""

    known: torch.Tensor  # (B, C, h, w), without noise
    noise: torch.Tensor  # (B, C, h, w)
    mask: torch.Tensor  # (B, 1, h, w), 1 where the picture is painted anew

    def put_back(self, x: torch.Tensor, scheduler: Any, following: Any | None) -> torch.Tensor:
        """The latents with the outside as at the following timestep, or without noise after the last one."""
        known = self.known
        if following is not None:
            known = scheduler.add_noise(known, self.noise, torch.tensor([following]))
        return (1 - self.mask) * known + self.mask * x


@dataclass(frozen=True)
class Start:
    """Where a loop begins, and what goes into each call of the UNet."""

    latents: torch.Tensor  # (B, C, h, w), as noisy as the first timestep says
    timesteps: torch.Tensor
    channels: torch.Tensor | None = None  # (B, c, h, w), behind the latents
    labels: torch.Tensor | None = None  # (B,), whole numbers
    outside: Outside | None = None


Begin = Callable[
    [Any, Generators, int], Start
]  # of a scheduler, the cells' generators and the number of steps


def from_noise(shape: tuple[int, int, int], device: Any) -> Begin:
    """The start from nothing but noise, in which txt2img begins."""

    def begin(scheduler: Any, generators: Generators, steps: int) -> Start:
        return Start(
            drawn(shape, generators).to(device) * scheduler.init_noise_sigma, scheduler.timesteps
        )

    return begin


def drawn(shape: tuple[int, ...], generators: Generators) -> torch.Tensor:
    """Noise (B, *shape), float32 on the CPU, each row from its own generator."""
    return torch.cat([torch.randn((1, *shape), generator=each) for each in generators])


def last_timesteps(scheduler: Any, strength: float, steps: int) -> torch.Tensor:
    """Those of the timesteps that a strength leaves; the scheduler is told where it begins."""
    first = (steps - count_steps(strength, steps)) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    return scheduler.timesteps[first:]


@dataclass
class Conditions:
    """Prepares the input pictures of cells for one pipeline; what was encoded is kept for the next batch."""

    loaded: Loaded
    _latest: Latest = field(default_factory=lambda: Latest(KEPT))

    def begin(self, cells: Sequence[Request]) -> Begin:
        """The start of a batch of one task, size, strength and number of steps."""
        start = getattr(self, f"_{self.loaded.choose_task(cells[0]).start}")
        return lambda scheduler, generators, steps: start(cells, scheduler, generators, steps)

    def _from_noise(
        self, cells: Sequence[Request], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        shape = (self.loaded.pipe.vae.config.latent_channels, *self._small(cells[0]))
        return from_noise(shape, self.loaded.device)(scheduler, generators, steps)

    def _from_picture(
        self, cells: Sequence[Request], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        known = self._sampled([self._moments(cell) for cell in cells], generators)  # (B, C, h, w)
        timesteps = last_timesteps(scheduler, cells[0].strength, steps)
        noise = drawn(known.shape[1:], generators).to(known)
        return Start(scheduler.add_noise(known, noise, timesteps[:1].repeat(len(cells))), timesteps)

    def _with_depth(
        self, cells: Sequence[Request], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        start = self._from_picture(cells, scheduler, generators, steps)
        return Start(
            start.latents, start.timesteps, torch.cat([self._depth(cell) for cell in cells])
        )

    def _inside_mask(
        self, cells: Sequence[Request], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        """arXiv 2201.09865 puts the outside back after each step; a UNet of 9 channels sees it instead."""
        pipe, strength = self.loaded.pipe, cells[0].strength
        sees = pipe.unet.config.in_channels > pipe.vae.config.latent_channels
        timesteps = last_timesteps(scheduler, strength, steps)
        known = None
        if (
            strength < 1 or not sees
        ):  # contiguous as in diffusers: a convolution's last bits depend on that
            known = self._sampled([self._moments(cell) for cell in cells], generators).contiguous()
        mask = torch.cat([self._mask(cell)[1] for cell in cells])  # (B, 1, h, w)
        masked_moments = [self._moments(cell, masked=True) for cell in cells]
        noise = drawn((masked_moments[0].shape[1] // 2, *mask.shape[2:]), generators).to(mask)
        masked = self._sampled(
            masked_moments, generators
        )  # drawn in any case, as in diffusers: what follows depends on it
        if strength == 1:
            latents = noise * scheduler.init_noise_sigma
        else:
            latents = scheduler.add_noise(known, noise, timesteps[:1].repeat(len(cells)))
        if sees:
            return Start(latents, timesteps, torch.cat([mask, masked], dim=1))
        return Start(latents, timesteps, outside=Outside(known, noise, mask))

    def _enlarging(
        self, cells: Sequence[Request], scheduler: Any, generators: Generators, steps: int
    ) -> Start:
        """The small picture, with some noise of its own, beside the latents: one of its pixels to one of theirs."""
        pipe = self.loaded.pipe
        small = torch.cat([self._pixels(cell.image, self._small(cell)) for cell in cells]).to(
            self.loaded.device
        )
        levels = torch.tensor([cell.noise_level for cell in cells], device=small.device)  # (B,)
        small = pipe.low_res_scheduler.add_noise(
            small, drawn(small.shape[1:], generators).to(small), levels
        )
        shape = (pipe.vae.config.latent_channels, *small.shape[2:])
        start = from_noise(shape, small.device)(scheduler, generators, steps)
        return Start(start.latents, start.timesteps, small, levels)

    @torch.inference_mode()
    def to_enlarge(self, cell: Request) -> tuple[torch.Tensor, torch.Tensor]:
        """For the x2 upscaler: the small picture's latents (1, C, h / 2, w / 2), and noise (1, C, h, w), both float32."""
        own = [torch.Generator("cpu").manual_seed(cell.seed)]
        small = self._sampled(
            [self._moments(cell.but(height=cell.height // 2, width=cell.width // 2))], own
        )
        return small, drawn((small.shape[1], *self._small(cell)), own).to(small)

    def _small(self, cell: Request) -> tuple[int, int]:
        factor = self.loaded.pipe.vae_scale_factor
        return cell.height // factor, cell.width // factor

    # Pictures as tensors, one at a time

    def _pixels(self, name: str, size: tuple[int, int]) -> torch.Tensor:
        """An input picture (1, 3, height, width), -1..1, stretched to that size as diffusers does it."""
        return self.loaded.pipe.image_processor.preprocess(read_picture(name), *size)

    def _mask(self, cell: Request) -> tuple[torch.Tensor, torch.Tensor]:
        """The mask as (1, 1, height, width) on the CPU and as (1, 1, h, w), both 0 or 1."""
        factor = self.loaded.pipe.vae_scale_factor
        grey = VaeImageProcessor(
            vae_scale_factor=factor, do_normalize=False, do_binarize=True, do_convert_grayscale=True
        )
        large = grey.preprocess(read_picture(cell.mask_image), cell.height, cell.width)
        small = torch.nn.functional.interpolate(
            large, (cell.height // factor, cell.width // factor)
        )
        return large, small.to(self.loaded.device)

    def _moments(self, cell: Request, masked: bool = False) -> torch.Tensor:
        """Means and log variances (1, 2 C, h, w), float32, of the encoded picture, or of what of it is outside the mask."""
        vae, size = self.loaded.pipe.vae, (cell.height, cell.width)

        def encoded() -> torch.Tensor:
            pixels = self._pixels(cell.image, size)
            if masked:
                pixels = pixels * (self._mask(cell)[0] < 0.5)
            return vae.encode(
                pixels.to(self.loaded.device, vae.dtype)
            ).latent_dist.parameters.float()

        return self._latest.get(
            ("moments", cell.image, cell.mask_image if masked else None, size), encoded
        )

    def _sampled(self, moments: Sequence[torch.Tensor], generators: Generators) -> torch.Tensor:
        """Latents (B, C, h, w), float32, scaled, one random sample a cell."""
        samples = [
            DiagonalGaussianDistribution(each).sample(own) for each, own in zip(moments, generators)
        ]
        return torch.cat(samples) * self.loaded.pipe.vae.config.scaling_factor

    def _depth(self, cell: Request) -> torch.Tensor:
        """Nearness (1, 1, h, w), -1..1, as given or as the checkpoint's own estimator sees it."""

        def scaled() -> torch.Tensor:
            depth = (
                self._estimated(read_picture(cell.image))
                if cell.depth_map is None
                else grey_levels(read_picture(cell.depth_map))
            )
            depth = torch.nn.functional.interpolate(
                depth[:, None].to(self.loaded.device, torch.float32),
                self._small(cell),
                mode="bicubic",
                align_corners=False,
            )
            least, most = depth.amin(), depth.amax()
            return (
                2 * (depth - least) / (most - least or 1) - 1
            )  # a flat map is far away everywhere

        return self._latest.get(
            ("depth", cell.depth_map or cell.image, cell.height, cell.width), scaled
        )

    def _estimated(self, image: Image.Image) -> torch.Tensor:
        """What the checkpoint's depth estimator says of a picture: (1, height, width), larger where it is nearer."""
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
        half = (
            estimator.dtype != torch.float32
        )  # its batch norms do not take half precision (diffusers says so)
        with (
            torch.autocast(str(device).split(":")[0], dtype=estimator.dtype)
            if half
            else nullcontext()
        ):
            return estimator(pixels).predicted_depth


def grey_levels(image: Image.Image) -> torch.Tensor:
    """A grey picture as (1, height, width), 0..255."""
    return torch.from_numpy(np.array(image, np.float32))[None]
