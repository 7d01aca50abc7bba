"""Rehearses a schedule: the denoising loop with a function that knows the picture for a network.

So it is known before a run whether a scheduler can take the steps, how many calls of the UNet they
are, and whether each call is handed as much noise as its timestep says; no model is needed.
"""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..errors import FieldError
from ..models.pipeline import make_scheduler
from ..models.quiet import silence_libraries
from ..models.tasks import choose_task
from ..recipe.request import Recipe
from ..recipe.schedulers import OPTIONS, SIGMAS, SPACED, parse_scheduler, write_scheduler
from .denoise import denoise
from .start import Generators, Outside, Start, draw_noise, from_noise, start_from

SHAPE = 4, 32, 32  # of the latents, so many that their standard deviation is known to 1 %
TOLERANCE = 0.05  # of a call's noise; and what rounding a timestep to a whole number may change
MOST_LEFT = 0.1  # of noise in the result; what "set_alpha_to_one=False" leaves is 0.03
APART = 1.1, 2.0  # times, of the noise of the first calls and of the last, that is told
BENT = 5  # steps after which it is looked at where predictions bend
NEAR = 1, -1, 2, -2, 5, -5  # steps more or less, to propose where a number fails
INSTEAD = "DPMSolverMultistepScheduler", f"DDIMScheduler({SPACED}='trailing')"
KINDS = {  # by a task's start: what a loop begins with
    **dict.fromkeys(("from_noise", "enlarging", "beside_picture"), "noise"),
    **dict.fromkeys(("from_picture", "with_depth"), "picture"),
}


@dataclass(frozen=True)
class Call:
    """A call of the UNet.

    Parameters
    ----------
    timestep : float
    ratio : float
        Of the noise that it is handed to that which its timestep says.
    right : bool
        Whether that is 1, to 5 % or to one timestep.
    sigma : float
        Its timestep's noise, in terms of what is left of the picture.
    """

    timestep: float
    ratio: float
    right: bool
    sigma: float


@dataclass(frozen=True)
class Rehearsal:
    """What a schedule does; `left` is the noise in the result, in terms of the picture's spread."""

    calls: tuple[Call, ...]
    left: float

    @property
    def right(self) -> bool:
        """Whether each call is handed the noise that its timestep says, and none is left."""
        return all(call.right for call in self.calls) and self.left < MOST_LEFT


class Oracle:
    """Stands in place of a UNet, and predicts rightly: it knows the clean latents (1, C, h, w)."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, scheduler: Any, clean: torch.Tensor) -> None:
        self.clean, self.kind = clean, scheduler.config.prediction_type
        kept = scheduler.alphas_cumprod.double().clamp(1e-8).numpy()
        self.logs = np.log((1 - kept) / kept) / 2  # of sigma, by timestep
        self.calls: list[Call] = []

    def find_noise(self, t: float) -> float:
        """Finds the standard deviation of the noise at t, between timesteps as diffusers does."""
        return float(1 + np.exp(-2 * np.interp(t, range(len(self.logs)), self.logs))) ** -0.5

    def __call__(self, given: torch.Tensor, t: Any, **_: Any) -> tuple[torch.Tensor]:
        t = float(t)
        if not 0 <= t <= len(self.logs) - 1:
            raise IndexError(f"timestep {t:g} is beyond the last, {len(self.logs) - 1}")
        noise = self.find_noise(t)
        rest = (1 - noise**2) ** 0.5
        predicted = (given[:1] - rest * self.clean) / noise
        ratio = float(predicted.std())
        least = min((1 - TOLERANCE) * noise, self.find_noise(t - 1) if t >= 1 else 0)
        most = max((1 + TOLERANCE) * noise, self.find_noise(t + 1))
        right = least <= ratio * noise <= most
        self.calls.append(Call(t, ratio, right, noise / rest))
        if self.kind == "v_prediction":
            predicted = rest * predicted - noise * self.clean
        elif self.kind == "sample":
            predicted = self.clean
        elif self.kind != "epsilon":
            raise ValueError(f"no model of v1 or v2 has the prediction type {self.kind!r}")
        return (predicted.expand(len(given), -1, -1, -1),)


@functools.lru_cache(512)
def rehearse(name: str, steps: int, kind: str, strength: float | None, stated: str) -> Rehearsal:
    """Rehearses a scheduler.

    Parameters
    ----------
    name : str
        As a recipe has it.
    steps : int
    kind : "noise", "picture" or "mask"
        What the loop begins with, and whether it puts something back after each step.
    strength : float or None
    stated : str
        The checkpoint's scheduler_config.json.

    Raises
    ------
    Exception
        The scheduler's own, whatever it is.
    """
    clean = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(1))

    def begin(scheduler: Any, generators: Generators, steps: int) -> Start:
        if kind == "noise":
            return from_noise(SHAPE, "cpu")(scheduler, generators, steps)
        noise = draw_noise(SHAPE, generators)
        start = start_from(clean, noise, scheduler, strength, steps, whole=kind == "mask")
        if kind == "picture":
            return start
        mask = (torch.arange(SHAPE[-1]) % 2).expand(1, 1, *SHAPE[1:]).float()
        return replace(start, outside=Outside(clean, noise, mask))

    with silence_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong is said once, in other words
        scheduler = make_scheduler(name, json.loads(stated))
        oracle, none = Oracle(scheduler, clean), torch.zeros(1, 1, 1)
        made = denoise(
            oracle,
            scheduler,
            none,
            none,
            seeds=[0],
            guidance_scale=[1.0],
            num_inference_steps=steps,
            begin=begin,
        )
    if not made.isfinite().all():
        raise ArithmeticError("the result is not made of numbers (NaN or infinite)")
    return Rehearsal(tuple(oracle.calls), float((made - clean).std()))


def tell_kind(cell: Recipe, layout: Any) -> str | None:
    """Tells what the loop of a cell begins with; None if it runs in diffusers' own pipeline."""
    start = choose_task(cell, layout.tasks).start
    if start != "inside_mask":
        return KINDS.get(start)
    if layout.channels_in == SHAPE[0]:
        return "mask"
    return "noise" if cell.strength == 1 else "picture"


def describe_schedule(cell: Recipe, layout: Any) -> str | None:
    """Describes what is wrong with a cell's schedule; None if each call gets its noise.

    Raises
    ------
    FieldError
        The scheduler cannot take the steps, or takes none.
    """
    kind = tell_kind(cell, layout)
    if kind is None:
        return None
    how = kind, cell.strength, json.dumps(dict(layout.scheduler), sort_keys=True)
    steps, said = cell.num_inference_steps, f"scheduler={cell.scheduler!r}"
    try:
        found = rehearse(cell.scheduler, steps, *how)
    except Exception as error:  # it would end the run, whatever it is
        text = (
            f"num_inference_steps={steps} does not run with {said}: {str(error).strip(' .'):.200}"
        )
        raise FieldError(f"{text}; use {propose(cell, how)}", "num_inference_steps") from error
    if found.right:
        return None
    wrong = [call for call in found.calls if not call.right]
    if not wrong and found.left > 1:
        text = f"num_inference_steps={steps}: {said} then returns the noise with which it began"
        raise FieldError(f"{text}; use {propose(cell, how)}", "num_inference_steps")
    return f"{said} with {describe_levels(found, steps)}; right is {propose(cell, how)}"


def describe_ranges(cells: Iterable[Recipe], layout: Any) -> str | None:
    """Describes where one kind of sigmas, as Karras', is other noise by the scheduler; or None.

    In diffusers 0.42 DPM-Solver++, DEIS, UniPC and SASolver take the ends from training; Euler,
    Heun, LMS and KDPM2 from the timesteps that `timestep_spacing` chose before. The cells are of
    one model.
    """
    stated = json.dumps(dict(layout.scheduler), sort_keys=True)
    alike: dict[tuple, dict[str, None]] = {}
    for cell in cells:
        options = parse_scheduler(cell.scheduler)[1]
        kind = next((name for name in SIGMAS if options.get(name)), None)
        if kind and (start := tell_kind(cell, layout)):
            key = kind, cell.num_inference_steps, start, cell.strength
            alike.setdefault(key, {})[cell.scheduler] = None
    for (kind, *how), names in alike.items():
        tried = {name: try_rehearsal(name, *how, stated) for name in names}
        calls = {name: found.calls for name, found in tried.items() if found}
        ends = {name: (own[0].sigma, own[-1].sigma) for name, own in calls.items()}
        far = zip(zip(*ends.values()), APART)
        if any(max(found) > most * min(found) for found, most in far):
            same: dict[str, list[str]] = {}
            for name, (first, last) in ends.items():
                same.setdefault(f"{first:.3g} to {last:.2g}", []).append(name)
            told = [f"{levels} with {' and '.join(some)}" for levels, some in same.items()]
            return (
                f"{kind}=True stands for unlike levels of noise in {how[0]} steps:"
                f" {'; '.join(told)}. So their pictures differ by the levels and not by the solver"
                f" alone; {SPACED}='linspace' in all that take it makes them alike"
            )
    return None


def try_rehearsal(name: str, *how: Any) -> Rehearsal | None:
    """Rehearses a scheduler; None if it does not run."""
    try:
        return rehearse(name, *how)
    except Exception:  # whatever it is; of a plan it is told
        return None


def describe_levels(found: Rehearsal, steps: int) -> str:
    """Describes the call that is furthest from its level, and the noise that is left."""
    text = f"num_inference_steps={steps} leaves noise of {found.left:.2f} in the picture"
    wrong = [call for call in found.calls if not call.right]
    if not wrong:
        return text
    worst = max(wrong, key=lambda call: max(call.ratio, 1 / max(call.ratio, 1e-9)))
    told = (
        f"num_inference_steps={steps} hands the UNet {worst.ratio:.2g} times the noise that its"
        f" timestep {worst.timestep:g} says, in call {found.calls.index(worst) + 1} of"
        f" {len(found.calls)}"
    )
    return told if found.left < MOST_LEFT else f"{told}, and{text.partition(str(steps))[2]}"


def propose(cell: Recipe, how: tuple[str, float | None, str]) -> str:
    """Proposes the nearest change with which all is right, to the scheduler or to the steps."""
    kind, options = parse_scheduler(cell.scheduler)
    trailing = [write_scheduler(kind, options | {SPACED: "trailing"})] * (SPACED in OPTIONS[kind])
    ways = [(name, cell.num_inference_steps) for name in (*trailing, *INSTEAD)]
    ways += [(cell.scheduler, cell.num_inference_steps + more) for more in NEAR]
    for name, steps in ways:
        if (found := try_rehearsal(name, steps, *how)) and found.right:
            same = name == cell.scheduler
            return f"num_inference_steps={steps}" if same else f"scheduler={name!r}"
    return "another number of steps, or another scheduler"


@functools.lru_cache(512)
def describe_steps(name: str, steps: int, stated: str) -> str | None:
    """Describes what a scheduler's own steps do amiss, whatever the network predicts; or None.

    The last steps and the third order are found by trying, so that nothing is said once they are
    mended (diffusers 0.42: DEIS and SASolver with Karras' sigmas, "sde-dpmsolver++"); PNDM with v
    is known, https://github.com/huggingface/diffusers/issues/14816.

    Parameters
    ----------
    name, steps, stated
        As `rehearse` has them.
    """
    kind, options = parse_scheduler(name)
    with silence_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make_scheduler(name, json.loads(stated))
        scheduler.set_timesteps(steps)
        if kind == "PNDMScheduler" and scheduler.config.prediction_type == "v_prediction":
            return (
                f"scheduler={name!r} mixes what the UNet said in several steps, though v means"
                " another picture at each level of noise: with this model it is hardly better than"
                " DDIM (it errs more than half as much; with a model that predicts noise, about a"
                f" tenth); use scheduler={INSTEAD[0]!r}"
            )
        sigmas = getattr(scheduler, "sigmas", None)
        if sigmas is not None and len(sigmas) > 1 and 0 < sigmas[-2] == sigmas[-1]:
            return (
                f"scheduler={name!r} ends at the noise of the step before, so that its last step"
                f" changes nothing: {steps} steps are {steps - 1}; UniPCMultistepScheduler does not"
            )
        if corrects_wrongly(kind, options, json.loads(stated)):
            two = write_scheduler(kind, {n: v for n, v in options.items() if n != "solver_order"})
            return (
                f"scheduler={name!r} corrects its third order the wrong way, so that more steps"
                f" can bring more error; right is scheduler={two!r}"
            )
    return None


def corrects_wrongly(kind: str, options: Mapping[str, Any], stated: dict[str, Any]) -> bool:
    """Tells whether the third order is of the wrong sign: positive pictures make a negative one."""
    if (options.get("algorithm_type"), options.get("solver_order")) != ("sde-dpmsolver++", 3):
        return False
    scheduler = make_scheduler(
        write_scheduler(kind, dict(options)), stated | {"prediction_type": "sample"}
    )
    scheduler.set_timesteps(2 * BENT)
    snr, nothing = -scheduler.sigmas.log(), torch.zeros(1)
    for i, t in enumerate(scheduler.timesteps[: BENT + 1]):
        picture = ((snr[i] - snr[BENT]) ** 2).reshape(1)
        out = scheduler.step(picture, t, nothing, variance_noise=nothing).prev_sample
    return bool(out < 0)
