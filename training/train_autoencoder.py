"""The first stage of training: the autoencoder, on pictures rendered as they are needed."""

import json
import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from training.autoencoder import SCALING, make_vae, normalise_latents
from training.parallel import Clock, Replica, count_ranks, find_device
from training.recipes import Recipe
from training.words import make_training_sample

VALIDATION_SEED = 90_000
CHANNELS = (16, 32, 64)
LATENT_NOISE = 0.06  # of a standard deviation, for the decoder alone


def make_pixels(images: np.ndarray) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 127.5 - 1


def render_world(rng: random.Random, count: int, recipe: Recipe) -> np.ndarray:
    """Render random pictures of the recipe's world, (count, size, size, 3) uint8."""
    return np.stack([make_training_sample(rng, recipe.world)[0].image for _ in range(count)])


def render_pictures(rng: random.Random, count: int, recipe: Recipe) -> np.ndarray:
    """Render pictures for training; a batch in ten swaps channels."""
    images = render_world(rng, count, recipe)
    return images[..., rng.sample(range(3), 3)] if rng.random() < 0.10 else images


def compute_reconstruction_loss(difference: torch.Tensor) -> torch.Tensor:
    """L1 on pixels and on their horizontal and vertical differences, plus L2."""
    across = difference[..., 1:] - difference[..., :-1]
    down = difference[..., 1:, :] - difference[..., :-1, :]
    return (
        difference.abs().mean()
        + 0.5 * (across.abs().mean() + down.abs().mean())
        + 0.5 * (difference**2).mean()
    )


def compute_vae_loss(vae: AutoencoderKL, pixels: torch.Tensor) -> torch.Tensor:
    """Compare pictures with their decoded selves, with a small pull to normal latents."""
    latent = vae.encode(pixels).latent_dist
    decoded = vae.decode(
        latent.mean + torch.exp(0.5 * latent.logvar) * torch.randn_like(latent.mean)
    ).sample
    mean, logvar = latent.mean.float(), latent.logvar.float()
    divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return compute_reconstruction_loss(decoded.float() - pixels.float()) + 1e-4 * divergence


def compute_decoder_loss(vae: AutoencoderKL, pixels: torch.Tensor) -> torch.Tensor:
    """Compare them for the decoder alone, its latents as inexact as the UNet's will be."""
    with torch.no_grad():
        mean = vae.encode(pixels).latent_dist.mean
    decoded = vae.decode(mean + LATENT_NOISE / SCALING * torch.randn_like(mean)).sample
    return compute_reconstruction_loss(decoded.float() - pixels.float())


@torch.no_grad()
def compute_psnr(vae: AutoencoderKL, pixels: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio of the reconstructions in dB; pixels in -1..1."""
    decoded = (
        vae.decode(vae.encode(pixels.to(vae.dtype)).latent_dist.mean).sample.float().clamp(-1, 1)
    )
    return (10 * torch.log10(4 / ((decoded - pixels) ** 2).mean((1, 2, 3)))).mean().item()


def make_validation_pixels(recipe: Recipe, count: int = 96) -> torch.Tensor:
    return make_pixels(render_world(random.Random(VALIDATION_SEED), count, recipe)).to(
        find_device()
    )


@torch.no_grad()
def normalise(vae: AutoencoderKL, recipe: Recipe) -> None:
    """Bring the latents of 768 pictures to mean 0 and standard deviation 1 after scaling."""
    rng = random.Random(VALIDATION_SEED + 1)
    pixels = make_pixels(render_world(rng, 768, recipe)).to(find_device())
    normalise_latents(
        vae, torch.cat([vae.encode(part).latent_dist.mean for part in pixels.split(64)])
    )


def make_start(folder: Path, decoder_only: bool) -> AutoencoderKL:
    """A new autoencoder, or the finished one with only its decoder left to train."""
    if not decoder_only:
        return make_vae(CHANNELS)
    vae = AutoencoderKL.from_pretrained(folder)
    for frozen in (vae.encoder, vae.quant_conv):
        frozen.requires_grad_(False)
    return vae


@torch.no_grad()
def average_weights(
    replica: Replica, folder: Path, recipe: Recipe, decoder_only: bool
) -> AutoencoderKL:
    """Make the averaged autoencoder in float32; a frozen encoder stays the same to the bit."""
    vae = make_start(folder, decoder_only).to(find_device())
    for name, parameter in vae.named_parameters():
        parameter.copy_(replica.ema.get(name, parameter))
    if not decoder_only:
        normalise(vae, recipe)
    return vae


def train_autoencoder(
    rank: int,
    workdir: Path,
    recipe: Recipe,
    minutes: float,
    batch: int,
    rate: float,
    seed: int,
    resume: bool,
    decoder_only: bool = False,
) -> None:
    """Train on one rank: checkpoints in `workdir`, and `workdir`/parts/vae at the end."""
    torch.manual_seed(seed)
    stage, folder = "decoder" if decoder_only else "autoencoder", workdir / "parts" / "vae"
    vae, checkpoint = (
        make_start(folder, decoder_only).to(find_device(), memory_format=torch.channels_last),
        workdir / f"{stage}.pt",
    )
    replica = Replica(
        vae, betas=(0.9, 0.98), weight_decay=1e-4, ema=0.995 if decoder_only else 0.99
    )
    spent = replica.load(checkpoint)["seconds"] if resume and checkpoint.exists() else 0.0
    torch.manual_seed(seed + 1000 * replica.steps + rank + 50 * decoder_only)
    rng = random.Random(seed + 1000 * replica.steps + 7 * rank + 50 * decoder_only)
    clock = Clock(minutes, rate=rate, warmup=20, constant=0, floor=0.03, spent=spent)
    validation, loss_of = (
        make_validation_pixels(recipe),
        compute_decoder_loss if decoder_only else compute_vae_loss,
    )
    while (progress := clock.progress()) < 1:
        pixels = make_pixels(render_pictures(rng, batch, recipe)).to(
            find_device(), torch.bfloat16, memory_format=torch.channels_last
        )
        loss = loss_of(vae, pixels)
        replica.update(loss, clock.rate_at(progress, replica.steps))
        if rank == 0 and replica.steps % 200 == 0:
            replica.use(replica.ema)
            quality = compute_psnr(vae, validation)
            replica.use(replica.master)
            replica.save(checkpoint, seconds=clock.elapsed())
            print(
                f"{stage}: step {replica.steps}, {clock.elapsed():.0f} of {60 * minutes:.0f} s, "
                f"loss {loss.item():.4f}, {quality:.2f} dB",
                flush=True,
            )
    if rank == 0:
        replica.save(checkpoint, seconds=clock.elapsed())
        vae = average_weights(replica, folder, recipe, decoder_only)
        vae.save_pretrained(folder)
        facts = dict(
            steps=replica.steps,
            pictures=replica.steps * batch * count_ranks(),
            seconds=round(clock.elapsed()),
            psnr=round(compute_psnr(vae, validation), 2),
        )
        (workdir / f"{stage}.json").write_text(json.dumps(facts))
        print(
            f"{stage}: {facts['steps']} steps, {facts['pictures']} pictures, {facts['psnr']} dB",
            flush=True,
        )
