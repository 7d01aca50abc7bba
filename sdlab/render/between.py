"""Pictures on the way from one cell to another: between their prompts, and between their noises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..recipe.request import Recipe
from .encode import Text
from .renderer import Blend, Picture, Renderer
from .start import Begin, Start
from .trace import open_renderer

Mix = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def draw_between(
    one: Recipe, other: Recipe, shares: Sequence[float], facts: Mapping[str, Any], *, mix_noise: Mix
) -> list[Picture]:
    """Renders a picture for each share of the other cell: 0 is the one, 1 the other, to the bit.

    Encoded prompts and negative prompts are mixed on the straight line between them. Both cells
    are of one task that begins with noise, and agree in all but prompts and seed; what a scheduler
    adds in its steps is drawn from the seed of the one.

    Parameters
    ----------
    facts : mapping
        See `trace.trace_cell`.
    mix_noise : callable
        `mix_lines` or `mix_arcs`: how the noise of the two seeds is mixed.
    """
    with open_renderer(one, facts) as renderer:
        size = renderer.batch_size(one)
        pictures = []
        for start in range(0, len(shares), size):
            own = list(shares[start : start + size])
            full = torch.tensor(own + own[-1:] * (size - len(own)), device=renderer.loaded.device)
            blend = make_blend(renderer, [other] * size, full, mix_noise)
            pictures += renderer.draw_pictures([one] * len(own), blend=blend)
    return pictures


def make_blend(
    renderer: Renderer, others: Sequence[Recipe], shares: torch.Tensor, mix_noise: Mix
) -> Blend:
    """Makes what mixes a batch with the others, each row by its share (B,)."""
    seeds = [cell.seed for cell in others]

    def mix(own: torch.Tensor, their: torch.Tensor) -> torch.Tensor:
        share = shares.view(-1, *[1] * (own.ndim - 1))
        return mix_lines(own.float(), their.float(), share).to(own.dtype)

    def blend(cond: Text, uncond: Text, begin: Begin) -> tuple[Text, Text, Begin]:
        theirs = renderer.encode_texts(others)
        if theirs[0].words.shape[1] != cond.words.shape[1]:
            raise ValueError(
                "the prompts of the two cells are read in different numbers of parts of 75 tokens,"
                " and there is no way between those; make them about as long"
            )
        text = [own.mix(their, mix) for own, their in zip((cond, uncond), theirs)]

        def begin_between(scheduler: Any, generators: Any, steps: int) -> Start:
            start = begin(scheduler, generators, steps)
            own = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
            noise = renderer.conditions.begin(others)(scheduler, own, steps).latents
            mixed = mix_noise(start.latents, noise, shares.view(-1, 1, 1, 1))
            return replace(start, latents=mixed)

        return text[0], text[1], begin_between

    return blend


def mix_lines(one: torch.Tensor, other: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Mixes on the straight line; of two independent noises the middle has half the variance."""
    return torch.lerp(one, other, share)  # whose ends are the two, to the bit


def mix_arcs(one: torch.Tensor, other: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Mixes (B, ...) on the great circle between each two rows, so that noise keeps its length.

    K. Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985. Rows that point the same
    way are mixed on the straight line, which also has both ends to the bit.
    """
    a, b = (torch.nn.functional.normalize(each.flatten(1), dim=1) for each in (one, other))
    angle = (a * b).sum(1).clamp(-1, 1).acos().view(share.shape)
    arc = angle.sin()
    mixed = (((1 - share) * angle).sin() * one + (share * angle).sin() * other) / arc
    straight = (arc < 1e-3) | (share == 0) | (share == 1)
    return torch.where(straight, mix_lines(one, other, share), mixed)
