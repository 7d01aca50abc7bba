"""Schedulers by all their names: diffusers' classes, and A1111's and ComfyUI's samplers.

A recipe holds one spelling, which is Python for the object that runs: the class, and in brackets
the options that differ from the class's own defaults,
"DPMSolverMultistepScheduler(use_karras_sigmas=True)".

A name means what it says: what it does not name is off, whatever the checkpoint states. Only what
the network was trained with, or is used to, is inherited: `INHERITED`. Where a request names no
scheduler, it is the checkpoint's own, with the options that the checkpoint states spelled out.
Where a checkpoint states an option that a name does not, the spelling says that it is off; so that
no recipe finds a picture made when such options still acted unsaid.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import FieldError, suggest
from .options import read_keywords, write_keywords

SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")  # at most one of them
SPACED, ZERO = "timestep_spacing", "rescale_betas_zero_snr"
SOLVER = ("algorithm_type", "solver_order", "solver_type")
LAST = ("lower_order_final", "final_sigmas_type")
OPTIONS = {  # diffusers' class: the options it takes here
    "DDIMScheduler": (SPACED, ZERO),
    "DDPMScheduler": ("variance_type", SPACED, ZERO),
    "PNDMScheduler": (SPACED,),
    "EulerDiscreteScheduler": (*SIGMAS, "final_sigmas_type", SPACED, ZERO),
    "EulerAncestralDiscreteScheduler": (SPACED, ZERO),
    "HeunDiscreteScheduler": (*SIGMAS, SPACED),
    "KDPM2DiscreteScheduler": (*SIGMAS, SPACED),
    "KDPM2AncestralDiscreteScheduler": (*SIGMAS, SPACED),
    "DPMSolverMultistepScheduler": (
        *(*SOLVER, *SIGMAS, "use_lu_lambdas", "euler_at_final", *LAST, SPACED, ZERO),
    ),
    "DPMSolverSinglestepScheduler": (*SOLVER, *SIGMAS, "final_sigmas_type"),
    "UniPCMultistepScheduler": (*SOLVER[1:], "predict_x0", *SIGMAS, *LAST, SPACED, ZERO),
    "DEISMultistepScheduler": ("solver_order", *SIGMAS, "lower_order_final", SPACED),
    "LCMScheduler": (SPACED, ZERO),
    "TCDScheduler": (SPACED, ZERO),
    "SASolverScheduler": (
        *("algorithm_type", "predictor_order", "corrector_order", *SIGMAS),
        *("lower_order_final", SPACED),
    ),
    "LMSDiscreteScheduler": (*SIGMAS, SPACED),
    "DPMSolverSDEScheduler": (*SIGMAS, SPACED),
}
INHERITED = (  # from the checkpoint, whatever the scheduler; the first two can be named as well
    *(SPACED, ZERO, "prediction_type", "steps_offset", "set_alpha_to_one"),
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"),
    *("clip_sample", "clip_sample_range", "thresholding", "dynamic_thresholding_ratio"),
    *("sample_max_value", "lambda_min_clipped", "sigma_min", "sigma_max"),
    *("timestep_type", "interpolation_type", "original_inference_steps", "timestep_scaling"),
)
VALUES: dict[str, tuple] = {  # of the options that are not True or False
    "algorithm_type": ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver"),
    "solver_order": (1, 2, 3),
    "predictor_order": (1, 2, 3),
    "corrector_order": (1, 2, 3),
    "solver_type": ("midpoint", "heun"),
    "final_sigmas_type": ("zero", "sigma_min"),
    "variance_type": ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
    SPACED: ("linspace", "leading", "trailing"),
    "UniPCMultistepScheduler.solver_type": ("bh2", "bh1"),
    "SASolverScheduler.algorithm_type": ("data_prediction", "noise_prediction"),
}
DEFAULTS = {  # of diffusers, where they are neither False nor the first of `VALUES`
    **dict.fromkeys(("solver_order", "predictor_order", "corrector_order"), 2),
    **dict.fromkeys(("lower_order_final", "predict_x0"), True),
    **{f"{kind}Scheduler.{SPACED}": "leading" for kind in ("DDIM", "DDPM", "PNDM", "LCM", "TCD")},
}
NEEDS = {"DPMSolverSDEScheduler": "torchsde"}  # a package that sdlab does not bring
INSTEAD = "DPMSolverSinglestepScheduler(algorithm_type='sde-dpmsolver++')"
SCHEDULERS = tuple(  # each runs from the configuration of v1 and v2 checkpoints
    name for name in OPTIONS if name not in NEEDS
)
TWICE = {  # they call the network twice in each step but the last
    *("HeunDiscreteScheduler", "DPMSolverSDEScheduler"),
    *("KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler"),
}
WITH_ETA = "DDIMScheduler", "TCDScheduler"  # which add noise if that is more than 0
NOISY = (  # and these always, as does every algorithm that begins with "sde"
    *("DDPMScheduler", "EulerAncestralDiscreteScheduler", "KDPM2AncestralDiscreteScheduler"),
    *("LCMScheduler", "SASolverScheduler", "DPMSolverSDEScheduler"),
)
DISTILLED, FEW_STEPS = ("LCMScheduler", "TCDScheduler"), 50  # unless a checkpoint states more

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
SCHEDULES: dict[str, tuple[str, Any]] = {  # A1111's schedule types
    "Karras": ("use_karras_sigmas", True),
    "Exponential": ("use_exponential_sigmas", True),
    "Beta": ("use_beta_sigmas", True),
    "SGM Uniform": (SPACED, "trailing"),
}
AUTOMATIC = {  # what A1111's schedule type "Automatic" is for these; for others it is "Uniform"
    **dict.fromkeys(("DPM2", "DPM2 a", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ 2M SDE Heun"), "Karras"),
    **dict.fromkeys(("DPM++ 2S", "DPM++ SDE"), "Karras"),
    "DPM++ 3M SDE": "Exponential",
}
ABSENT = {  # of A1111, but not in diffusers: the nearest that is
    **dict.fromkeys(("dpm++ 2s a", "dpm fast", "dpm adaptive"), "DPM++ 2S"),
    "restart": "Heun",
    "ddim cfg++": "DDIM",
}
SNR = "Zero Terminal SNR"  # A1111's noise schedule
# A1111's words; the last is sdlab's
SAMPLING = "Sampler", "Schedule type", "Noise Schedule", "Diffusers scheduler"
FOLDED = (
    ("dpmpp", "dpm++"),
    ("dpm 2", "dpm2"),
    (" ancestral", " a"),
    ("uni pc", "unipc"),
    ("sa solver", "sasolver"),
)
NOTHING: Mapping[str, Any] = MappingProxyType({})  # of a checkpoint that states nothing
CALLED = re.compile(r"\s*([^()]+?)\s*(?:\((.*)\))?\s*", re.DOTALL)


def normalize_scheduler(name: str | None, stated: Mapping[str, Any] = NOTHING) -> str:
    """Writes the one spelling of a scheduler, which a recipe holds.

    Parameters
    ----------
    name : str, optional
        A class of diffusers with or without "Scheduler"; a sampler of A1111 ("DPM++ 2M"), a
        schedule type after it ("DPM++ 2M Karras"), or ComfyUI's name ("dpmpp_2m_sde"); each in any
        case, and with options in brackets if need be: "DDIM(rescale_betas_zero_snr=True,
        timestep_spacing='trailing')". None is the checkpoint's own, with the options it states.
    stated : mapping
        The checkpoint's scheduler_config.json.

    Returns
    -------
    str
        Such as "EulerAncestralDiscreteScheduler" of "euler a".

    Raises
    ------
    ValueError
        There is no such scheduler or option, or it needs a package that is not installed.
    """
    kind, options = parse_scheduler(stated["_class_name"] if name is None else name)
    require_package(name or kind, kind)
    said = {
        option: stated[option]
        for option in OPTIONS[kind]
        if stated.get(option) in list_values(kind, option)
    }
    if name is None:
        options = said
    written = {}
    for option in OPTIONS[kind]:
        default = find_default(kind, option)
        inherited = said.get(option, default)
        value = options.get(option, inherited if option in INHERITED else default)
        if value != inherited or (option not in INHERITED and value != default):
            written[option] = value
    return write_scheduler(kind, written)


def require_package(name: str, kind: str) -> None:
    """Refuses a class that needs a package which is not installed."""
    if kind in NEEDS and importlib.util.find_spec(NEEDS[kind]) is None:
        raise ValueError(
            f"scheduler {name!r} needs the package {NEEDS[kind]}, which is not installed;"
            f" install it, or use {INSTEAD}. Without it these run: {', '.join(SCHEDULERS)}"
        )


def list_values(kind: str, option: str) -> tuple:
    """Lists the values that a class's option may have."""
    return VALUES.get(f"{kind}.{option}", VALUES.get(option, (True, False)))


def find_default(kind: str, option: str) -> Any:
    """Finds what diffusers' class has where nothing is said."""
    first = list_values(kind, option)[0]
    usual = DEFAULTS.get(option, first is not True and first)
    return DEFAULTS.get(f"{kind}.{option}", usual)


def write_scheduler(kind: str, options: dict[str, Any]) -> str:
    """Writes a class and its options, in the order of the alphabet."""
    return f"{kind}({write_keywords(options)})" if options else kind


def parse_scheduler(name: str) -> tuple[str, dict[str, Any]]:
    """Reads any name as (diffusers' class, options), whether or not it can run here."""
    match = CALLED.fullmatch(name)
    kind, options = look_up(match[1] if match else name)
    options |= parse_options(name, match[2] or "") if match else {}
    for option, value in options.items():
        if option not in OPTIONS[kind]:
            raise ValueError(
                f"scheduler {name!r}: {kind} takes no {option} here; it takes"
                f" {', '.join(OPTIONS[kind])}"
            )
        allowed = list_values(kind, option)
        if value not in allowed or type(value) is not type(allowed[0]):
            raise ValueError(
                f"scheduler {name!r}: {option}={value!r}; it takes {', '.join(map(repr, allowed))}"
            )
    if len(several := [option for option in SIGMAS if options.get(option)]) > 1:
        raise ValueError(f"scheduler {name!r} asks for {' and '.join(several)}; choose one")
    return kind, options


def parse_options(name: str, inside: str) -> dict[str, Any]:
    """Reads the options between the brackets."""
    try:
        return read_keywords(inside)
    except (SyntaxError, ValueError):
        raise ValueError(
            f"scheduler {name!r}: ({inside}) is not a list of options; they are written as in"
            " Python: (use_karras_sigmas=True, timestep_spacing='trailing')"
        ) from None


def look_up(text: str) -> tuple[str, dict[str, Any]]:
    """Finds the class and options of a name without brackets."""
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
    longer = [name for name in NAMES if short and name.startswith(short)]
    spelled = {fold_name(name): name for name in (*OPTIONS, *SAMPLERS)}  # A1111's where both are
    hint = suggest(longer[0] if longer else short, NAMES)
    for name, shown in spelled.items():
        hint = hint.replace(repr(name), repr(shown))
    raise ValueError(
        f"unknown scheduler {text!r}{hint} these run:"
        f" {', '.join(SCHEDULERS)}; A1111's names of them too, such as 'DPM++ 2M Karras'"
    )


def fold_name(text: str) -> str:
    """Folds a name for looking it up: "DDIMScheduler" is "ddim", "k_dpmpp_2m" is "dpm++ 2m"."""
    short = " ".join(text.lower().replace("_", " ").split())
    short = short.removesuffix("scheduler").strip().removeprefix("k ")
    for theirs, ours in FOLDED:
        short = short.replace(theirs, ours)
    return short


def require_accepted(
    scheduler: str, steps: int, eta: float, stated: Mapping[str, Any] = NOTHING
) -> None:
    """Refuses a number of steps or an eta that the scheduler of that canonical name cannot take."""
    kind = scheduler.partition("(")[0]
    if eta and kind not in WITH_ETA:
        taken = " and ".join(WITH_ETA)
        text = f"eta={eta} has a meaning for {taken} only, not for {kind}; use eta=0"
        raise FieldError(text, "eta")
    most = stated.get("original_inference_steps", FEW_STEPS) if kind in DISTILLED else steps
    if steps > most:
        text = f"num_inference_steps={steps}: {kind} takes at most {most}"
        raise FieldError(text, "num_inference_steps")


def adds_noise(scheduler: str, eta: float) -> bool:
    """Tells whether the scheduler of that canonical name draws noise of its own in its steps."""
    kind, options = parse_scheduler(scheduler)
    return eta > 0 or kind in NOISY or options.get("algorithm_type", "").startswith("sde")


def write_inherited(scheduler: str, stated: Mapping[str, Any]) -> str:
    """Writes the options that a recipe's scheduler has from its checkpoint, and not by its name.

    Of a scheduler of another kind than `OPTIONS` has, none is told apart: all are the checkpoint's.
    """
    if scheduler.partition("(")[0] not in OPTIONS:
        return ""
    kind, options = parse_scheduler(scheduler)
    return ", ".join(
        f"{option}={stated[option]!r}"
        for option in INHERITED
        if option in OPTIONS[kind] and option not in options
        if stated.get(option) in list_values(kind, option)
        if stated[option] != find_default(kind, option)
    )


def write_a1111(scheduler: str | None, inherited: str | None = None) -> dict[str, str]:
    """Writes a scheduler as A1111 does: {"Sampler": "DPM++ 2M", "Schedule type": "Karras"}.

    What A1111 has no words for is said once more in ours, as "Diffusers scheduler"; what a
    checkpoint gave (see `write_inherited`) is said as if it had been named.
    """
    try:
        kind, options = parse_scheduler(scheduler or "")
        options = parse_options(kind, inherited or "") | options
    except ValueError:  # of another version of sdlab
        return {"Sampler": scheduler} if scheduler else {}
    fitting = [(name, own) for name, (its, own) in MEANINGS.items() if its == kind]
    fitting = [(name, own) for name, own in fitting if own.items() <= options.items()]
    sampler, own = max(fitting, key=lambda each: len(each[1]))
    rest = {option: value for option, value in options.items() if option not in own}
    said = {"Sampler": sampler}
    schedules = [name for name, (option, value) in SCHEDULES.items() if rest.get(option) == value]
    schedule = schedules[0] if schedules else None
    if schedule:
        del rest[SCHEDULES[schedule][0]]
    if schedule or sampler in AUTOMATIC:
        said["Schedule type"] = schedule or "Uniform"
    if rest.pop(ZERO, False):
        said["Noise Schedule"] = SNR
    return said | ({"Diffusers scheduler": write_scheduler(kind, options)} if rest else {})


def read_a1111(said: dict[str, str]) -> dict[str, str]:
    """Reads {"scheduler": its one spelling} from A1111's words, and keeps the others."""
    return dict(_read_words(*said.items()))


@functools.lru_cache(1_000)  # a folder of pictures has few
def _read_words(*said: tuple[str, str]) -> dict[str, str]:
    left = dict(said)
    try:
        kind, options = parse_scheduler(left.get("Diffusers scheduler", left.get("Sampler", "")))
    except ValueError:
        own = left.get("Sampler", "").endswith(
            "Scheduler"
        )  # a class of diffusers' for other models
        return {"scheduler": left.pop("Sampler"), **left} if own else left
    if "Diffusers scheduler" in left:
        return {"scheduler": write_scheduler(kind, options)}
    schedule = left.get("Schedule type", "")
    if schedule == "Automatic":
        schedule = AUTOMATIC.get(write_a1111(write_scheduler(kind, options))["Sampler"], "Uniform")
    option, value = SCHEDULES.get(schedule, ("", None))
    if option in OPTIONS[kind]:
        options[option] = value
    if option in OPTIONS[kind] or schedule == "Uniform":
        del left["Schedule type"]
    if left.get("Noise Schedule") == SNR and ZERO in OPTIONS[kind]:
        options[ZERO] = True
        del left["Noise Schedule"]
    del left["Sampler"]
    return {"scheduler": write_scheduler(kind, options), **left}


def parse_meaning(canonical: str) -> tuple[str, dict[str, Any]]:
    """Reads the one spelling of a scheduler as (class, options)."""
    kind, _, inside = canonical.removesuffix(")").partition("(")
    return kind, parse_options(canonical, inside)


MEANINGS = {name: parse_meaning(canonical) for name, canonical in SAMPLERS.items()}
NAMES: dict[str, tuple[str, dict[str, Any]]] = {  # every name, folded
    **{fold_name(name): (name, {}) for name in OPTIONS},
    **{fold_name(name): meaning for name, meaning in MEANINGS.items()},
}
