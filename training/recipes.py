"""What each embedded model is made of: world, text encoder, UNet, and where training starts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdlab.tiny.world import V1, V2, World
from training.signs import SignWorld

FOLDER = Path(__file__).parents[1] / "sdlab" / "tiny"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an embedded model is made, in the order of `stages`.

    Parameters
    ----------
    start : str, optional
        The embedded model whose VAE is taken over, and whose UNet is what training begins with.
    vae : str, optional
        The embedded model whose VAE is taken over instead.
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
    focus : float
        How much more latents count on which letters stand. With it, high levels of noise are drawn
        more often and count like the others: there, the prompt alone can tell what is written.
        Without it, all latents count alike, and levels of noise by min-SNR weights.
    shares : tuple of tuple of float
        How often pictures of each kind are shown, at the start and at the end: of one object, of a
        pair and of several alike; of words of one to six letters and of two words.
    """

    world: World | SignWorld
    stages: tuple[str, ...]
    start: str | None = None
    vae: str | None = None
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
    focus: float = 0.0
    shares: tuple[tuple[float, ...], ...] = ((0.45, 0.38, 0.17), (0.30, 0.54, 0.16))

    @property
    def latent_side(self) -> int:
        """Pixels of the square latents."""
        return self.world.size // 4

    @property
    def channels(self) -> int:
        """Of what the UNet sees."""
        return 4 + {None: 0, "depth": 1, "small": 3}[self.extra]

    def part(self, name: str) -> Path:
        """A part of the model that it is taken over from."""
        return FOLDER / str((name == "vae" and self.vae) or self.start) / name


SIGNS: dict[str, Any] = dict(  # what the two models of signs have in common: all but the tokens
    start="tiny-v1",
    rate=0.001,
    focus=6.0,
    shares=((0.5, 0.3, 0.1, 0.05, 0.05, 0.0, 0.0), (0.05, 0.07, 0.15, 0.17, 0.17, 0.17, 0.22)),
)
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
    "tiny-signs": Recipe(
        world=SignWorld(is_spelt=False),
        stages=("tokenizer", "encode", "denoiser", "decoder", "export"),
        **SIGNS,
    ),
    "tiny-letters": Recipe(
        world=SignWorld(is_spelt=True),
        stages=("tokenizer", "encode", "denoiser", "export"),
        vae="tiny-signs",
        **SIGNS,
    ),
}
