"""What each embedded model is made of: world, text encoder, UNet, and where training starts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from sdlab.tiny.world import V1, V2, World

FOLDER = Path(__file__).parents[1] / "sdlab" / "tiny"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an embedded model is made, in the order of `stages`.

    Parameters
    ----------
    start : str, optional
        The embedded model whose VAE is taken over, and whose UNet is what training begins with.
    own_text : bool
        Whether it has a tokenizer and a text encoder of its own; else those of `start`, which stay
        as they are.
    text_width, text_layers, text_act
        Of the text encoder. `text_spare` of the layers are left out when the pictures are made, as
        Stable Diffusion v2 does.
    pad : str
        The token that fills a prompt up.
    widths : tuple of int
        Channels of the UNet's blocks.
    extra : str, optional
        What the UNet sees besides the noisy latents: "depth" (1 channel) or "small" (the picture to
        be enlarged, 3 channels, with noise of a level that the UNet is told).
    crop : int, optional
        Latents a side that are seen in one training step; the whole picture by default.
    scaling_factor : float
        Of the VAE's latents.
    rate : float
        The denoiser's highest learning rate.
    """

    world: World
    stages: tuple[str, ...]
    start: str | None = None
    own_text: bool = True
    text_width: int = 128
    text_layers: int = 2
    text_spare: int = 0
    text_act: str = "quick_gelu"
    pad: str = "<|endoftext|>"
    widths: tuple[int, int] = (64, 96)
    extra: str | None = None
    crop: int | None = None
    scaling_factor: float = 0.18215
    rate: float = 0.0012

    @property
    def latent_side(self) -> int:
        """Pixels of the square latents."""
        return self.world.size // 4

    @property
    def channels(self) -> int:
        """Of what the UNet sees."""
        return 4 + {None: 0, "depth": 1, "small": 3}[self.extra]

    def part(self, name: str) -> Path:
        """A part of the model that this one starts from."""
        return FOLDER / str(self.start) / name


RECIPES = {
    "tiny-v1": Recipe(
        world=V1, stages=("tokenizer", "autoencoder", "encode", "denoiser", "decoder", "export")
    ),
    "tiny-v2": Recipe(
        world=V2,
        stages=("tokenizer", "encode", "text", "denoiser", "decoder", "export"),
        start="tiny-v1",
        text_width=160,
        text_layers=3,
        text_spare=1,
        text_act="gelu",
        pad="!",
        rate=0.001,
    ),
    "tiny-depth": Recipe(
        world=V1,
        stages=("encode", "denoiser", "estimator", "export"),
        start="tiny-v1",
        own_text=False,
        extra="depth",
        rate=0.0005,
    ),
    "tiny-x4": Recipe(
        world=dataclasses.replace(V1, size=256),
        stages=("encode", "denoiser", "export"),
        start="tiny-v1",
        own_text=False,
        widths=(32, 64),
        extra="small",
        crop=24,
        scaling_factor=0.08333,
    ),
}
