"""The second model's own stage: its text encoder learns which caption belongs to which picture.

As in OpenCLIP, which Stable Diffusion v2 reads its prompts with, two encoders are trained so that a
caption and its picture come out alike among all others of the batch (InfoNCE, arXiv 2103.00020).
The picture's encoder sees latents and is thrown away; of the text encoder the last layers are, so
that what was the last but one remains.
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from training.encoded import MAX_LENGTH, SHORT_LENGTH, Pictures
from training.parallel import Clock, Replica, average, count_ranks, find_device
from training.recipes import Recipe
from training.train_denoiser import lengthen, make_text_encoder

TEMPERATURE = 0.07


def make_picture_encoder(width: int) -> nn.Sequential:
    """Make a network from latents (B, 4, h, w) to (B, width).

    The place of an object counts, so the last map is not averaged away.
    """

    def step(c: int, d: int) -> list[nn.Module]:
        return [nn.Conv2d(c, d, 3, stride=2, padding=1), nn.GroupNorm(8, d), nn.SiLU()]

    return nn.Sequential(
        nn.Conv2d(4, 32, 3, padding=1),
        nn.SiLU(),
        *step(32, 64),
        *step(64, 96),
        *step(96, 128),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
        nn.Linear(9 * 128, width),
    )


def compute_matching_loss(
    net: nn.ModuleDict, latents: torch.Tensor, ids: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Compute the surprise of finding caption and picture of each other, and the hit rate."""
    text = functional.normalize(
        net["project"](net["text"](ids).pooler_output).float(), dim=1
    )  # (B, width)
    seen = functional.normalize(
        net["picture"](latents.to(torch.bfloat16)).float(), dim=1
    )  # (B, width)
    alike, own = text @ seen.T / TEMPERATURE, torch.arange(len(ids), device=ids.device)  # (B, B)
    loss = (functional.cross_entropy(alike, own) + functional.cross_entropy(alike.T, own)) / 2
    return loss, (alike.argmax(1) == own).float().mean().item()


@torch.no_grad()
def save_text_encoder(
    replica: Replica, tokenizer: CLIPTokenizer, recipe: Recipe, folder: Path
) -> None:
    """The averaged weights without the layers that are left out."""
    weights = {
        name.removeprefix("text."): weight.clone()
        for name, weight in replica.ema.items()
        if name.startswith("text.")
    }
    lengthen(weights)
    text: CLIPTextModel = make_text_encoder(
        tokenizer, recipe, recipe.text_layers - recipe.text_spare
    )
    for name, parameter in text.named_parameters():
        parameter.copy_(weights[name])
    text.save_pretrained(folder)


def train_text(
    rank: int,
    workdir: Path,
    recipe: Recipe,
    minutes: float,
    batch: int,
    rate: float,
    seed: int,
    resume: bool,
) -> None:
    """One rank's part; writes `workdir`/parts/text_encoder at the end."""
    torch.manual_seed(seed)
    parts, checkpoint = workdir / "parts", workdir / "text.pt"
    tokenizer = CLIPTokenizer.from_pretrained(parts / "tokenizer")
    width = recipe.text_width
    net = nn.ModuleDict(
        dict(
            text=make_text_encoder(tokenizer, recipe, recipe.text_layers),
            project=nn.Linear(width, width),
            picture=make_picture_encoder(width),
        )
    ).to(find_device())
    replica = Replica(net, betas=(0.9, 0.98), weight_decay=1e-2, ema=0.995, exempt="embedding")
    spent = replica.load(checkpoint)["seconds"] if resume and checkpoint.exists() else 0.0
    torch.manual_seed(seed + 1000 * replica.steps + 77 + rank)
    empty = torch.tensor(
        tokenizer([""], padding="max_length", max_length=MAX_LENGTH)["input_ids"][0]
    )
    pictures = Pictures(workdir, recipe, empty)
    clock = Clock(minutes, rate=rate, warmup=100, constant=0.3, floor=0.02, spent=spent)
    recent = []
    while (progress := clock.progress()) < 1:
        latents, ids, _ = pictures.batch(batch, progress)
        loss, right = compute_matching_loss(net, latents, ids[:, :SHORT_LENGTH])
        replica.update(loss, clock.rate_at(progress, replica.steps))
        recent = [*recent[-49:], right]
        if rank == 0 and replica.steps % 100 == 0:
            replica.save(checkpoint, seconds=clock.elapsed())
            print(
                f"text: step {replica.steps}, {clock.elapsed():.0f} of {60 * minutes:.0f} s, loss"
                f" {loss.item():.3f}, {average(recent):.2f} of the captions find their picture"
                f" among {batch}",
                flush=True,
            )
    if rank == 0:
        latents, ids, _ = pictures.held_out()
        replica.use(replica.ema)
        with torch.no_grad():
            loss, right = compute_matching_loss(net, latents, ids[:, :SHORT_LENGTH])
        facts = dict(
            steps=replica.steps,
            samples=replica.steps * batch * count_ranks(),
            seconds=round(clock.elapsed()),
            matched=round(right, 3),
            among=len(ids),
        )
        (workdir / "text.json").write_text(json.dumps(facts))
        print(f"text: {facts}", flush=True)
        save_text_encoder(replica, tokenizer, recipe, parts / "text_encoder")
