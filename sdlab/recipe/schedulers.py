"""Schedulers by all their names: diffusers' classes, A1111's samplers and schedule types, ComfyUI's spelling of both.

A recipe holds one spelling, which is Python for the object that runs: the class, and in brackets
those of its options that differ from the checkpoint's own configuration,
"DPMSolverMultistepScheduler(use_karras_sigmas=True)".
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import re
from typing import Any

SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")  # at most one of them
SPACED, ZERO = "timestep_spacing", "rescale_betas_zero_snr"
SOLVER = ("algorithm_type", "solver_order")
OPTIONS = {  # diffusers' class: the options it takes here
    "DDIMScheduler": (SPACED, ZERO),
    "DDPMScheduler": (SPACED, ZERO),
    "PNDMScheduler": (SPACED,),
    "EulerDiscreteScheduler": (*SIGMAS, SPACED, ZERO),
    "EulerAncestralDiscreteScheduler": (SPACED, ZERO),
    "HeunDiscreteScheduler": (*SIGMAS, SPACED),
    "KDPM2DiscreteScheduler": (*SIGMAS, SPACED),
    "KDPM2AncestralDiscreteScheduler": (*SIGMAS, SPACED),
    "DPMSolverMultistepScheduler": (*SOLVER, "solver_type", *SIGMAS, SPACED, ZERO),
    "DPMSolverSinglestepScheduler": (*SOLVER, "solver_type", *SIGMAS),
    "UniPCMultistepScheduler": ("solver_order", *SIGMAS, SPACED, ZERO),
    "DEISMultistepScheduler": ("solver_order", *SIGMAS, SPACED),
    "LCMScheduler": (SPACED, ZERO),
    "TCDScheduler": (SPACED, ZERO),
    "SASolverScheduler": (*SIGMAS, SPACED),
    "LMSDiscreteScheduler": (*SIGMAS, SPACED),
    "DPMSolverSDEScheduler": (*SIGMAS, SPACED),
}
VALUES = {  # of the options that are not True or False
    "algorithm_type": ("dpmsolver++", "sde-dpmsolver++"),
    "solver_order": (1, 2, 3),
    "solver_type": ("midpoint", "heun"),
    SPACED: ("leading", "linspace", "trailing"),
}
NEEDS = {"DPMSolverSDEScheduler": "torchsde"}  # a package that sdlab does not bring
INSTEAD = "DPMSolverSinglestepScheduler(algorithm_type='sde-dpmsolver++')"
SCHEDULERS = tuple(  # each runs from the configuration of v1 and v2 checkpoints
    name for name in OPTIONS if name not in NEEDS
)
FEW_STEPS = {"LCMScheduler": 50, "TCDScheduler": 50}  # they know no more steps than these

SDE = "DPMSolverMultistepScheduler(algorithm_type='sde-dpmsolver++'"
SAMPLERS = {  # A1111's name: the canonical one
    "DDIM": "DDIMScheduler",
    "DDPM": "DDPMScheduler",
    "PLMS": "PNDMScheduler",
    "Euler": "EulerDiscreteScheduler",
    "Euler a": "EulerAncestralDiscreteScheduler",
    "Heun": "HeunDiscreteScheduler",
    "LMS": "LMSDiscreteScheduler",
    "DPM2": "KDPM2DiscreteScheduler",
    "DPM2 a": "KDPM2AncestralDiscreteScheduler",
    "DPM++ 2M": "DPMSolverMultistepScheduler",
    "DPM++ 2M SDE": f"{SDE})",
    "DPM++ 2M SDE Heun": f"{SDE}, solver_type='heun')",
    "DPM++ 3M SDE": f"{SDE}, solver_order=3)",
    "DPM++ 2S": "DPMSolverSinglestepScheduler",
    "DPM++ SDE": "DPMSolverSDEScheduler",
    "UniPC": "UniPCMultistepScheduler",
    "DEIS": "DEISMultistepScheduler",
    "LCM": "LCMScheduler",
    "TCD": "TCDScheduler",
    "SASolver": "SASolverScheduler",
}
SCHEDULES = {
    "Karras": ("use_karras_sigmas", True),
    "Exponential": ("use_exponential_sigmas", True),
    "Beta": ("use_beta_sigmas", True),
    "SGM Uniform": (SPACED, "trailing"),
}  # A1111's schedule types
AUTOMATIC = {  # what A1111's schedule type "Automatic" is for these; for others it is "Uniform"
    "DPM2": "Karras",
    "DPM2 a": "Karras",
    "DPM++ 2M": "Karras",
    "DPM++ 2M SDE": "Karras",
    "DPM++ 2M SDE Heun": "Karras",
    "DPM++ 2S": "Karras",
    "DPM++ SDE": "Karras",
    "DPM++ 3M SDE": "Exponential",
}
ABSENT = {
    "dpm++ 2s a": "DPM++ 2S",
    "dpm fast": "DPM++ 2S",
    "dpm adaptive": "DPM++ 2S",
    "restart": "Heun",
    "ddim cfg++": "DDIM",
}  # of A1111, but not in diffusers: the nearest that is
SNR = "Zero Terminal SNR"  # A1111's noise schedule
SAMPLING = (
    "Sampler",
    "Schedule type",
    "Noise Schedule",
    "Diffusers scheduler",
)  # A1111's words; the last is sdlab's
FOLDED = (
    ("dpmpp", "dpm++"),
    ("dpm 2", "dpm2"),
    (" ancestral", " a"),
    ("uni pc", "unipc"),
    ("sa solver", "sasolver"),
)
CALLED = re.compile(r"\s*([^()]+?)\s*(?:\((.*)\))?\s*", re.DOTALL)


def normalize_scheduler(name: str) -> str:
    """The one spelling of a scheduler, which a resolved recipe holds: "euler a" is "EulerAncestralDiscreteScheduler".

    Parameters
    ----------
    name : str
        A class of diffusers with or without "Scheduler"; a sampler of A1111 ("DPM++ 2M"), a
        schedule type after it ("DPM++ 2M Karras"), or ComfyUI's name ("dpmpp_2m_sde"); each in any
        case, and with options in brackets if need be: "DDIM(rescale_betas_zero_snr=True,
        timestep_spacing='trailing')".

    Raises
    ------
    ValueError
        There is no such scheduler or option, or it needs a package that is not installed.
    """
    kind, options = parse_scheduler(name)
    if kind in NEEDS and importlib.util.find_spec(NEEDS[kind]) is None:
        raise ValueError(
            f"scheduler {name!r} needs the package {NEEDS[kind]}, which is not installed;"
            f" install it, or use {INSTEAD}. Without it these run: {', '.join(SCHEDULERS)}"
        )
    return write_scheduler(kind, options)


def write_scheduler(kind: str, options: dict[str, Any]) -> str:
    """The class and its options, in the order of the alphabet."""
    inside = ", ".join(f"{option}={options[option]!r}" for option in sorted(options))
    return f"{kind}({inside})" if options else kind


def parse_scheduler(name: str) -> tuple[str, dict[str, Any]]:
    """Any name of a scheduler as (diffusers' class, options), whether the packages it needs are installed or not."""
    match = CALLED.fullmatch(name)
    kind, options = look_up(match[1] if match else name)
    options |= parse_options(name, match[2]) if match and match[2] else {}
    for option, value in options.items():
        if option not in OPTIONS[kind]:
            raise ValueError(
                f"scheduler {name!r}: {kind} takes no {option} here; it takes"
                f" {', '.join(OPTIONS[kind])}"
            )
        allowed = VALUES.get(option, (True, False))
        if value not in allowed or type(value) is not type(allowed[0]):
            raise ValueError(
                f"scheduler {name!r}: {option}={value!r}; it takes {', '.join(map(repr, allowed))}"
            )
    if len(several := [option for option in SIGMAS if options.get(option)]) > 1:
        raise ValueError(f"scheduler {name!r} asks for {' and '.join(several)}; choose one")
    return kind, options


def parse_options(name: str, inside: str) -> dict[str, Any]:
    """The options between the brackets."""
    try:
        call = ast.parse(f"_({inside})", mode="eval").body
        found = {option.arg: ast.literal_eval(option.value) for option in call.keywords}
        if call.args or None in found:
            raise SyntaxError
    except (SyntaxError, ValueError, AttributeError):
        raise ValueError(
            f"scheduler {name!r}: ({inside}) is not a list of options; they are written as in"
            " Python: (use_karras_sigmas=True, timestep_spacing='trailing')"
        ) from None
    return found


def look_up(text: str) -> tuple[str, dict[str, Any]]:
    """A name without brackets as (class, options)."""
    short = fold_name(text)
    for schedule, (option, value) in SCHEDULES.items():
        before = short.removesuffix(f" {schedule.lower()}")
        if before != short and fold_name(before) in NAMES:
            kind, options = NAMES[fold_name(before)]
            return kind, {**options, option: value}
    if short in NAMES:
        return NAMES[short][0], dict(NAMES[short][1])
    if short in ABSENT:
        raise ValueError(
            f"scheduler {text!r} is A1111's alone, diffusers has none like it; the nearest is"
            f" {ABSENT[short]!r}"
        )
    near = [
        name for name in NAMES if short and name.startswith(short)
    ] or difflib.get_close_matches(short, NAMES, 1)
    hint = f"did you mean {write_scheduler(*NAMES[near[0]])!r}? " if near else ""
    raise ValueError(
        f"unknown scheduler {text!r}; {hint}these run: {', '.join(SCHEDULERS)}; A1111's names of"
        " them too, such as 'DPM++ 2M Karras'"
    )


def fold_name(text: str) -> str:
    """A name as it is looked up: "DDIMScheduler" is "ddim", "k_dpmpp_2m" is "dpm++ 2m", "euler_ancestral" is "euler a"."""
    short = (
        " ".join(text.lower().replace("_", " ").split())
        .removesuffix("scheduler")
        .strip()
        .removeprefix("k ")
    )
    for theirs, ours in FOLDED:
        short = short.replace(theirs, ours)
    return short


def require_accepted(scheduler: str, steps: int, eta: float) -> None:
    """Refuses a number of steps or an eta that the scheduler of that canonical name cannot take."""
    kind = scheduler.partition("(")[0]
    if eta and kind != "DDIMScheduler":
        raise ValueError(
            f"eta={eta} has a meaning for DDIMScheduler only, not for {kind}; use eta=0"
        )
    if steps > FEW_STEPS.get(kind, steps):
        raise ValueError(f"num_inference_steps={steps}: {kind} takes at most {FEW_STEPS[kind]}")


def to_a1111(scheduler: str | None) -> dict[str, str]:
    """A recipe's scheduler as A1111's text has it: {"Sampler": "DPM++ 2M", "Schedule type": "Karras"}.

    What A1111 has no words for is said once more in ours, as "Diffusers scheduler".
    """
    try:
        kind, options = parse_scheduler(scheduler or "")
    except ValueError:  # of another version of sdlab
        return {"Sampler": scheduler} if scheduler else {}
    sampler, ours = max(
        (
            (name, NAMES[fold_name(name)][1])
            for name in SAMPLERS
            if NAMES[fold_name(name)][0] == kind
            and NAMES[fold_name(name)][1].items() <= options.items()
        ),
        key=lambda item: len(item[1]),
    )
    rest = {option: value for option, value in options.items() if option not in ours}
    said = {"Sampler": sampler}
    schedule = next(
        (name for name, (option, value) in SCHEDULES.items() if rest.get(option) == value), None
    )
    if schedule:
        del rest[SCHEDULES[schedule][0]]
    if schedule or sampler in AUTOMATIC:
        said["Schedule type"] = schedule or "Uniform"
    if rest.pop(ZERO, False):
        said["Noise Schedule"] = SNR
    return said | ({"Diffusers scheduler": write_scheduler(kind, options)} if rest else {})


def from_a1111(said: dict[str, str]) -> dict[str, str]:
    """{"scheduler": the canonical name} from A1111's words, and those of the words that have no counterpart as they are."""
    left = dict(said)
    try:
        kind, options = parse_scheduler(left.get("Diffusers scheduler", left.get("Sampler", "")))
    except ValueError:
        return left
    if "Diffusers scheduler" in left:
        return {"scheduler": write_scheduler(kind, options)}
    schedule = left.get("Schedule type")
    if schedule == "Automatic":
        schedule = AUTOMATIC.get(to_a1111(write_scheduler(kind, options))["Sampler"], "Uniform")
    option, value = SCHEDULES.get(schedule, (None, None))
    if option in OPTIONS[kind]:
        options[option] = value
    if option in OPTIONS[kind] or schedule == "Uniform":
        del left["Schedule type"]
    if left.get("Noise Schedule") == SNR and ZERO in OPTIONS[kind]:
        options[ZERO] = True
        del left["Noise Schedule"]
    del left["Sampler"]
    return {"scheduler": write_scheduler(kind, options), **left}


def list_names() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every name, folded, as (class, options)."""
    found = {fold_name(name): (name, {}) for name in OPTIONS}
    for name, canonical in SAMPLERS.items():
        kind, _, inside = canonical.removesuffix(")").partition("(")
        found[fold_name(name)] = kind, parse_options(name, inside)
    return found


NAMES = list_names()
