"""The denoising loop: classifier-free guidance over several cells in each call of the UNet.

The samples stay in float32 between the calls, also when the UNet computes in half precision.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from .start import Begin, Start

ORDER = 4  # of LMS, once it has met as many steps
Clean = Callable[[], torch.Tensor]
OnStep = Callable[[int, int, Clean | None], None]


class Cancelled(Exception):
    """The end of a run between two steps, because it is to stop."""


@dataclass(frozen=True)
class Step:
    """What a step of the loop read and predicted, for whoever watches; all tensors (B, C, h, w).

    Parameters
    ----------
    number, total : int
        Of this call of the UNet, from 0, and of all.
    t : scalar
        The timestep.
    scaled : tensor
        What the network was given.
    begun, without, with_text, guided : tensor
        Predictions: what the prompt's direction was added to, without the prompt, with it, and what
        the scheduler was given.
    """

    number: int
    total: int
    scheduler: Any
    t: Any
    scaled: torch.Tensor
    begun: torch.Tensor
    without: torch.Tensor
    with_text: torch.Tensor
    guided: torch.Tensor


Watch = Callable[[Step], None]


@torch.inference_mode()
def denoise(
    unet: Any,
    scheduler: Any,
    cond: torch.Tensor,
    uncond: torch.Tensor,
    *,
    seeds: Sequence[int],
    guidance_scale: Sequence[float],
    num_inference_steps: int,
    begin: Begin,
    added: Mapping[str, torch.Tensor] | None = None,
    eta: float = 0.0,
    guidance_rescale: Sequence[float] = (0.0,),
    on_step: OnStep = lambda done, total, clean: None,
    watch: Watch = lambda step: None,
) -> torch.Tensor:
    """Classifier-free guidance (arXiv 2207.12598) over B cells at once.

    Parameters
    ----------
    cond, uncond : tensor (B, tokens, width)
        The encoded prompts and negative prompts.
    seeds, guidance_scale, guidance_rescale : B values
        One for each cell. Rescaling may be one 0 for all.
    begin : callable
        Gives the start from scheduler, generators and number of steps: the latents, and what else
        the task puts in.
    added : mapping, optional
        What SDXL's UNet reads besides, tensors (2 B, ...), those of the negative prompts first.
    on_step : callable
        Called before each step with the steps done, their number, and what gives the clean latents
        (B, channels, height, width) that the step before predicted (None before the first); what it
        raises ends the loop.
    watch : callable
        Called with what each step predicted, before the scheduler makes anything of it.

    Returns
    -------
    tensor (B, channels, height, width), float32
        Scaled latents: `vae.decode(latents / vae.config.scaling_factor)` gives pictures.
    """
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    weight = spread(guidance_scale, unet.device)  # (B, 1, 1, 1)
    amount = spread(guidance_rescale, unet.device)
    text = torch.cat([uncond, cond])  # (2 B, tokens, width)
    scheduler.set_timesteps(num_inference_steps)  # on the CPU: looking at a card's waits for it
    extra = list_extra(scheduler, eta, generators, seeds)
    start = begin(scheduler, generators, num_inference_steps)
    x, timesteps, clean = start.latents, start.timesteps, None  # (B, C, H, W)
    for i, (t, there) in enumerate(zip(timesteps, timesteps.to(unet.device))):
        on_step(i, len(timesteps), clean)
        scaled = scheduler.scale_model_input(x, t).to(unet.dtype)
        begun, without, with_text = predict(unet, scaled, there, text, start, added)
        guided = begun + weight * (with_text - without)
        if any(guidance_rescale):
            guided = rescale_guided(guided, with_text, amount)
        clean = partial(clean_latents, scheduler, scaled, guided, t)
        watch(Step(i, len(timesteps), scheduler, t, scaled, begun, without, with_text, guided))
        if "order" in extra:  # LMS's, which must not count on steps that a strength left out
            extra["order"] = min(i + 1, ORDER)
        x = scheduler.step(guided, t, x, return_dict=False, **extra)[0]
        if start.outside is not None:
            x = start.outside.put_back(x, scheduler, next(iter(timesteps[i + 1 :]), None))
    return x


def spread(values: Sequence[float], device: Any) -> torch.Tensor:
    """Shapes a number for each cell so that it multiplies latents: (B, 1, 1, 1)."""
    return torch.tensor(values, device=device).view(-1, 1, 1, 1)


def predict(
    unet: Any,
    scaled: torch.Tensor,
    t: Any,
    text: torch.Tensor,
    start: Start,
    added: Mapping[str, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Predicts without and with the prompt in one call of the UNet, (B, C, H, W), float32.

    What the prompt's direction is added to comes first: the prediction without the prompt, or, of a
    task with a weight for its picture, that prediction guided away from one without the picture
    (arXiv 2211.09800, equation 3).

    Parameters
    ----------
    scaled : tensor (B, C, H, W)
        What the scheduler makes of the latents for the network.
    text : tensor (2 B, tokens, width)
        The negative prompts, then the prompts.
    """
    seen = [] if start.channels is None else [start.channels.to(unet.dtype)]
    given = torch.cat([scaled, *seen], dim=1)  # (B, C + c, H, W)
    labels = None if start.labels is None else torch.cat([start.labels] * 2)
    rows = [given, given]
    if start.image_weight is not None:
        rows.insert(0, torch.cat([scaled, *map(torch.zeros_like, seen)], dim=1))
        text = torch.cat([text[: len(scaled)], text])  # (3 B, tokens, width)
    more = {"class_labels": labels, "added_cond_kwargs": added, "return_dict": False}
    predicted = unet(torch.cat(rows), t, encoder_hidden_states=text, **more)[0]
    *blind, without, with_text = predicted.float().chunk(len(rows))
    if start.image_weight is None:
        return without, without, with_text
    return blind[0] + start.image_weight * (without - blind[0]), without, with_text


def list_extra(
    scheduler: Any, eta: float, generators: Sequence[torch.Generator], seeds: Sequence[int]
) -> dict[str, Any]:
    """Lists what a scheduler's `step` takes besides: its own noise, where from and how much."""
    if hasattr(scheduler, "noise_sampler_seed"):  # of DPMSolverSDEScheduler, without generators
        scheduler.noise_sampler_seed = list(seeds)
    accepted = inspect.signature(scheduler.step).parameters
    extra = {"eta": eta, "generator": generators, "order": ORDER}
    return {name: value for name, value in extra.items() if name in accepted}


def rescale_guided(
    guided: torch.Tensor, with_text: torch.Tensor, amount: torch.Tensor
) -> torch.Tensor:
    """Gives the guided prediction, part of the way, the spread of the one with the prompt.

    That is section 3.4 of arXiv 2305.08891. Both predictions are
    (B, C, H, W), the amount (B, 1, 1, 1) in 0..1; where it is 0, the bits stay.
    """
    dim = 1, 2, 3
    matched = guided * (with_text.std(dim=dim, keepdim=True) / guided.std(dim=dim, keepdim=True))
    return torch.where(amount > 0, amount * matched + (1 - amount) * guided, guided)


def clean_latents(
    scheduler: Any, scaled: torch.Tensor, predicted: torch.Tensor, t: Any
) -> torch.Tensor:
    """Computes the latents without noise that a prediction at t implies (arXiv 2010.02502, eq. 12).

    It holds for every scheduler, because what `scale_model_input` gives the network is sqrt(a)
    latents + sqrt(1 - a) noise in all of them. Between whole timesteps (Karras, KDPM2) the nearest
    `a` is taken.
    """
    kind = scheduler.config.prediction_type
    if kind == "sample":
        return predicted
    a = scheduler.alphas_cumprod[round(float(t))].to(predicted)
    if kind == "v_prediction":  # arXiv 2202.00512
        return a.sqrt() * scaled.float() - (1 - a).sqrt() * predicted
    least = a.clamp(min=1e-4)  # a may begin at 0
    return (scaled.float() - (1 - a).sqrt() * predicted) / least.sqrt()
