"""What the denoisers see: pictures of a world, rendered and encoded once, drawn at random."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler
from transformers import CLIPTokenizer

from training.parallel import count_ranks, find_device
from training.recipes import Recipe
from training.samples import KINDS
from training.signs import WRITINGS, SignWorld
from training.train_autoencoder import make_pixels
from training.words import make_training_sample

MAX_LENGTH = 77
SHORT_LENGTH, SHORT_PART = (
    24,
    0.65,
)  # tokens, and for which part of the time captions are padded to so few
HELD_OUT = 256  # last rows of the last shard
TOGETHER = 64 * 64 * 64  # pixels encoded in one call
MAX_NOISE_LEVEL = 350
LOW_RES_NOISE = dict(
    beta_schedule="scaled_linear", beta_start=1e-4, beta_end=0.02
)  # of Stable Diffusion's x4 upscaler
DEPTH_NOISE = 0.03  # of the distance from far to near: an estimated depth is not exact


def average_blocks(arrays: np.ndarray, factor: int) -> torch.Tensor:
    """(B, H, W, C) to (B, C, H / factor, W / factor), each value the mean of a square."""
    b, h, w, c = arrays.shape
    means = arrays.reshape(b, h // factor, factor, w // factor, factor, c).mean(
        (2, 4), dtype=np.float32
    )
    return torch.from_numpy(np.ascontiguousarray(means.transpose(0, 3, 1, 2)))


def stretch_depth(depth: torch.Tensor) -> torch.Tensor:
    """Move and scale depth maps (B, 1, h, w) to -1..1, as diffusers' depth pipeline does."""
    low, high = depth.amin((1, 2, 3), keepdim=True), depth.amax((1, 2, 3), keepdim=True)
    return 2 * (depth - low) / (high - low).clamp(min=1e-6) - 1


def make_besides(recipe: Recipe, samples: list) -> torch.Tensor | None:
    """Make what else the UNet sees: depth (B, 1, h, w), small pictures (B, 3, h, w), or None."""
    if recipe.extra == "depth":
        return stretch_depth(
            average_blocks(np.stack([s.depth[..., None] for s in samples]), 4)
        ).half()
    if recipe.extra == "small":
        return (average_blocks(np.stack([s.image for s in samples]), 4) / 127.5 - 1).half()
    return None


@torch.no_grad()
def encode_pictures(rank: int, workdir: Path, recipe: Recipe, pictures: int, seed: int) -> None:
    """Render and encode one rank's share of the pictures into `workdir`/latents_<rank>.pt."""
    rng, batch = random.Random(seed + 500 + rank), max(1, TOGETHER // recipe.world.size**2)
    vae = AutoencoderKL.from_pretrained(workdir / "parts" / "vae").to(find_device(), torch.bfloat16)
    tokenizer = CLIPTokenizer.from_pretrained(workdir / "parts" / "tokenizer")
    latents, captions, kinds, extra = [], [], [], []
    names = WRITINGS if isinstance(recipe.world, SignWorld) else KINDS
    for _ in range(-(-pictures // count_ranks() // batch)):
        samples, texts = zip(*(make_training_sample(rng, recipe.world) for _ in range(batch)))
        moments = vae.quant_conv(
            vae.encoder(make_pixels(np.stack([s.image for s in samples])).to(vae.device, vae.dtype))
        )
        latents.append((moments[:, :4].float() * vae.config.scaling_factor).half().cpu())
        extra.append(make_besides(recipe, samples))
        captions += texts
        kinds += [names.index(s.kind) for s in samples]
    ids = tokenizer(captions, padding="max_length", truncation=True, max_length=MAX_LENGTH)[
        "input_ids"
    ]
    shard = dict(
        latents=torch.cat(latents),
        ids=torch.tensor(ids, dtype=torch.int16),
        kinds=torch.tensor(kinds),
    )
    if recipe.extra:
        shard["extra"] = torch.cat(extra)
    torch.save(shard, workdir / f"latents_{rank}.pt")


class Pictures:
    """The encoded pictures, drawn at random; the share of each kind moves with training time."""

    def __init__(self, workdir: Path, recipe: Recipe, empty: torch.Tensor):
        shards = [
            torch.load(path, weights_only=True) for path in sorted(workdir.glob("latents_*.pt"))
        ]
        self.latents, self.ids, kinds = (
            torch.cat([shard[part] for shard in shards]).to(find_device())
            for part in ("latents", "ids", "kinds")
        )
        self.extra = (
            torch.cat([shard["extra"] for shard in shards]).to(find_device())
            if recipe.extra
            else None
        )
        self.recipe = recipe
        self.held_out_rows = torch.arange(len(kinds))[-HELD_OUT:]
        kinds[-HELD_OUT:] = -1
        self.rows = [(kinds == kind).nonzero()[:, 0] for kind in range(len(recipe.shares[0]))]
        self.empty = empty.to(find_device())
        self.noise = DDPMScheduler(**LOW_RES_NOISE)

    def __len__(self) -> int:
        return len(self.latents)

    def batch(
        self, size: int, progress: float
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Draw latents (B, 4, h, w), token ids (B, length), and what else the UNet sees.

        One caption in ten is empty.
        """
        shares = torch.lerp(*(torch.tensor(s) for s in self.recipe.shares), progress)
        kinds = torch.multinomial(shares, size, replacement=True).tolist()
        chosen = torch.stack([self.rows[k][torch.randint(len(self.rows[k]), ())] for k in kinds])
        ids = self.ids[chosen].long()
        ids[torch.rand(size, device=ids.device) < 0.1] = self.empty
        latents, besides = self.shown(chosen)
        return latents, ids[:, :SHORT_LENGTH] if progress < SHORT_PART else ids, besides

    def held_out(self) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Give the same of the pictures not trained on; noise and crops follow torch's seed."""
        latents, besides = self.shown(self.held_out_rows)
        return latents, self.ids[self.held_out_rows].long(), besides

    def shown(self, rows: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Give these rows' latents, or a crop, and {"extra", "level"} as the model takes them."""
        latents = self.latents[rows].float()
        if self.extra is None:
            return latents, {}
        extra, side = self.extra[rows].float(), self.recipe.crop
        if side:
            y, x = (int(torch.randint(latents.shape[-1] - side + 1, ())) for _ in range(2))
            latents, extra = (part[..., y : y + side, x : x + side] for part in (latents, extra))
        if self.recipe.extra == "depth":
            return latents, {"extra": extra + DEPTH_NOISE * torch.randn_like(extra)}
        level = torch.randint(0, MAX_NOISE_LEVEL + 1, (len(rows),), device=extra.device)
        return latents, {
            "extra": self.noise.add_noise(extra, torch.randn_like(extra), level),
            "level": level,
        }
