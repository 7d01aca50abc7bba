"""The depth-guided model's own stage: the network that says how near each point is.

It has MiDaS's layout (DPT), as the estimator of Stable Diffusion's own depth model has, only
smaller. What it learns is the depth that the pictures of the world have by construction.
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessorPil

from sdlab.tiny.world import World
from training.parallel import Clock, Replica, count_ranks, find_device
from training.recipes import Recipe
from training.samples import make_sample
from training.train_autoencoder import make_pixels

VALIDATION_SEED = 91_000


def make_estimator(size: int) -> DPTForDepthEstimation:
    """A new one for pictures of `size` pixels, (B, 3, size, size) in -1..1 to (B, size, size)."""
    net = DPTForDepthEstimation(
        DPTConfig(
            image_size=size,
            patch_size=8,
            hidden_size=96,
            intermediate_size=192,
            num_hidden_layers=4,
            num_attention_heads=4,
            backbone_out_indices=(0, 1, 2, 3),
            reassemble_factors=(2, 1, 0.5, 0.25),
            neck_hidden_sizes=(16, 24, 32, 48),
            fusion_hidden_size=24,
            is_hybrid=False,
            use_auxiliary_head=False,
            hidden_act="gelu",
            attn_implementation="eager",
        )
    )
    torch.nn.init.constant_(
        net.head.head[4].bias, 0.3
    )  # a ReLU follows; below 0 everywhere, it would learn nothing
    return net


def make_pictures(
    rng: random.Random, count: int, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pictures (B, 3, size, size) in -1..1 and their depth (B, size, size) in 0..1."""
    samples = [make_sample(rng, world=world) for _ in range(count)]
    pixels, depth = (
        make_pixels(np.stack([s.image for s in samples])),
        torch.from_numpy(np.stack([s.depth for s in samples])),
    )
    return pixels.to(find_device()), depth.to(find_device())


def compute_depth_loss(
    net: DPTForDepthEstimation, pixels: torch.Tensor, depth: torch.Tensor
) -> torch.Tensor:
    """Compute the squared error.

    Most points are far (0), and the absolute one would be content with a network that says so
    everywhere.
    """
    return functional.mse_loss(net(pixels).predicted_depth.float(), depth)


def train_estimator(
    rank: int,
    workdir: Path,
    recipe: Recipe,
    minutes: float,
    batch: int,
    rate: float,
    seed: int,
    resume: bool,
) -> None:
    """One rank's part; writes `workdir`/parts/depth_estimator and feature_extractor at the end."""
    torch.manual_seed(seed)
    net, checkpoint = make_estimator(recipe.world.size).to(find_device()), workdir / "estimator.pt"
    replica = Replica(net, betas=(0.9, 0.98), weight_decay=1e-3, ema=0.995)
    spent = replica.load(checkpoint)["seconds"] if resume and checkpoint.exists() else 0.0
    rng = random.Random(seed + 1000 * replica.steps + 7 * rank)
    clock = Clock(minutes, rate=rate, warmup=50, constant=0.3, floor=0.02, spent=spent)
    while (progress := clock.progress()) < 1:
        pixels, depth = make_pictures(rng, batch, recipe.world)
        loss = compute_depth_loss(net, pixels.to(torch.bfloat16), depth)
        replica.update(loss, clock.rate_at(progress, replica.steps))
        if rank == 0 and replica.steps % 200 == 0:
            replica.save(checkpoint, seconds=clock.elapsed())
            print(
                f"estimator: step {replica.steps}, {clock.elapsed():.0f} of {60 * minutes:.0f} s,"
                f" loss {loss.item():.4f}",
                flush=True,
            )
    if rank == 0:
        save_estimator(
            replica,
            workdir,
            recipe,
            dict(
                steps=replica.steps,
                pictures=replica.steps * batch * count_ranks(),
                seconds=round(clock.elapsed()),
            ),
        )


@torch.no_grad()
def save_estimator(replica: Replica, workdir: Path, recipe: Recipe, facts: dict) -> None:
    """Save the averaged weights and the preprocessor; note the error on unseen pictures."""
    size = recipe.world.size
    net = make_estimator(size).to(find_device())
    for name, parameter in net.named_parameters():
        parameter.copy_(replica.ema[name])
    pixels, depth = make_pictures(random.Random(VALIDATION_SEED), 256, recipe.world)
    error = (net(pixels).predicted_depth - depth).abs().mean().item()
    net.save_pretrained(workdir / "parts" / "depth_estimator")
    DPTImageProcessorPil(
        size={"height": size, "width": size}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(workdir / "parts" / "feature_extractor")
    (workdir / "estimator.json").write_text(json.dumps({**facts, "depth_error": round(error, 4)}))
    print(
        f"estimator: {facts['steps']} steps, mean error {error:.4f} of the distance from far to"
        " near",
        flush=True,
    )
