"""What a pipeline of diffusers takes, where sdlab has no loop of its own for a model.

Nothing of a class is known beforehand: the signature of its call tells which fields of a request
have a meaning, and what they are where they are left open. The size follows from the JSON files, by
the class's own arithmetic: it is made once with stand-ins for its parts.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..errors import FieldError, suggest
from ..recipe.options import read_keywords
from ..recipe.request import SPECS, Recipe
from ..recipe.schedulers import OPTIONS
from .memory import OFTEN
from .quiet import silence_libraries
from .tasks import Task, find_other_way

# Fields of a request that a call takes under the same names
MAPPED = (
    *("prompt", "negative_prompt", "guidance_scale", "num_inference_steps", "height", "width"),
    *("eta", "clip_skip", "guidance_rescale"),
)
SIDES = ("height", "width")
LEVELS = "block_out_channels"  # of a VAE, each half as wide as the one before
# Fields that sdlab sees to itself, or gives a call in another way
SEEN_TO = "model", "seed", "scheduler", "aspect", "watermark", "options", "weights"
NEVER = tuple(  # that a call is not given
    name
    for name, spec in SPECS.items()
    if name not in (*MAPPED, *SEEN_TO) and not spec.goes_with  # whose tasks refuse it
)
# Arguments of calls that make no single picture, or none from a text alone
FOREIGN = {
    **dict.fromkeys(("num_frames", "video_length", "num_videos_per_prompt"), "makes videos"),
    **dict.fromkeys(
        ("audio_length_in_s", "audio_duration", "num_waveforms_per_prompt"), "makes sounds"
    ),
    **dict.fromkeys(("strength", "mask_image"), "begins with a picture"),
}
FOREIGN_CLASSES = {  # of which the arguments do not tell it
    "Edit|Control|Adapter|Pix2Pix|Img2Img|SuperResolution|Layered": "begins with a picture",
    "PriorPipeline$": "makes half of a picture",
}
TOLD = re.compile(r"height\W+`int`\W+\*optional\*, defaults to (\d+)\)")  # in a call's docstring
OURS = (  # arguments that sdlab decides, or that are no plain values
    "generator|latents|output_type|return_dict|num_images_per_prompt|.*callback.*|.*_embeds.*"
    "|.*image.*|.*_mask.*|denoising_start|denoising_end|kwargs|args|self"
)
PROMPT = re.compile(r"(negative_)?prompt(_\d)?")  # one for each cell of a batch


@dataclass(frozen=True)
class Call:
    """What the call of a class of diffusers takes.

    Parameters
    ----------
    pipeline : str
        The class.
    takes : tuple of str
        The names of the arguments.
    guidance_scale, num_inference_steps : float, int
        What they are where nothing is said; None where that is left to the class.
    multiple : int
        Of which the sides of a picture are multiples.
    has_unet : bool
        Whether its network is a UNet.
    any_scheduler : bool
        Whether the class says that it runs with any scheduler of Stable Diffusion; else it is the
        checkpoint's own.
    reals : tuple of str
        The arguments that are real numbers, or lists of them.
    """

    pipeline: str
    takes: tuple[str, ...]
    guidance_scale: float | None = None
    num_inference_steps: int | None = None
    multiple: int = 8
    has_unet: bool = False
    any_scheduler: bool = False
    reals: tuple[str, ...] = ()

    @cached_property
    def task(self) -> Task:
        """What the model is for, as the others' tasks say it."""
        return Task(
            pipeline=self.pipeline,
            channels=(),
            title="made for txt2img",
            takes=("options",),
            lacks=(*NEVER, *(n for n in MAPPED if n not in self.takes and n not in SIDES)),
        )

    def takes_scheduler(self, stated: Mapping[str, Any]) -> bool:
        """Tells whether a checkpoint of such a scheduler runs with others, too."""
        usual = stated.get("prediction_type", "epsilon") in ("epsilon", "v_prediction", "sample")
        return self.any_scheduler and usual and stated.get("_class_name") in OPTIONS

    @cached_property
    def options(self) -> list[str]:
        """The arguments that a request's `options` may have."""
        return [n for n in self.takes if n not in MAPPED and not re.fullmatch(OURS, n)]

    def read_options(self, text: str | None) -> dict[str, Any]:
        """Reads a request's options as what the call takes: 4 where it takes reals is 4.0."""
        said = read_keywords(text or "")
        return {name: make_real(v) if name in self.reals else v for name, v in said.items()}


def read_call(folder: Path, index: Mapping[str, Any]) -> tuple[Call, int, tuple[int, int] | None]:
    """Reads what the class of a model's folder takes.

    Returns
    -------
    call : Call
    factor : int
        Pixels of a picture to one of its latents.
    size : (int, int) or None
        Height and width where nothing is said; None if that cannot be told.

    Raises
    ------
    ValueError
        It is no pipeline that makes pictures of texts.
    """
    kind = find_pipeline(index["_class_name"])
    arguments = inspect.signature(kind.__call__).parameters
    require_text_to_image(folder, kind, arguments)
    default = {name: each.default for name, each in arguments.items()}
    with silence_libraries():
        pipe = stand_in(kind, folder, index)
    unet = getattr(getattr(pipe, "unet", None), "config", None)
    in_pixels = getattr(unet, "in_channels", None) == 3  # as DeepFloyd's
    factor = getattr(pipe, "vae_scale_factor", None) or (1 if in_pixels else 8)
    scheduler = inspect.signature(kind.__init__).parameters.get("scheduler")
    call = Call(
        kind.__name__,
        tuple(arguments),
        default.get("guidance_scale"),
        default["num_inference_steps"],
        find_multiple(default, pipe, factor),
        "unet" in index,
        "KarrasDiffusionSchedulers" in str(scheduler and scheduler.annotation),
        tuple(name for name, each in arguments.items() if takes_reals(each)),
    )
    return call, factor, find_native_size(kind, default, pipe, factor)


def takes_reals(argument: inspect.Parameter) -> bool:
    """Tells an argument of real numbers, by its default or what it is said to be."""
    kinds = set(re.findall(r"\w+", str(argument.annotation)))
    return isinstance(argument.default, float) or ("float" in kinds and "int" not in kinds)


def make_real(value: Any) -> Any:
    """Makes a whole number real, also those in lists."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(make_real, value))
    return float(value) if type(value) is int else value


def find_pipeline(name: str) -> Any:
    """Finds a class of diffusers; None if there is none of that name."""
    import diffusers

    kind = getattr(diffusers, name, None)
    is_pipeline = isinstance(kind, type) and issubclass(kind, diffusers.DiffusionPipeline)
    return kind if is_pipeline else None


def require_text_to_image(folder: Path, kind: Any, arguments: Mapping[str, Any]) -> None:
    """Refuses a class whose call does not make a picture of a text, and says why."""
    needed = ("prompt", "generator", "num_inference_steps")
    lacks = [name for name in needed if name not in arguments]
    wants = [
        name
        for name, each in arguments.items()
        if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
        if name not in ("self", "prompt")
    ]
    told = [what for name, what in FOREIGN.items() if name in arguments]
    told += [what for names, what in FOREIGN_CLASSES.items() if re.search(names, kind.__name__)]
    if not (lacks or wants or told):
        return
    why = f"takes no {' and no '.join(lacks)}" if lacks else f"needs {' and '.join(wants)}"
    whole = f"{kind.__name__.removesuffix('Pipeline')}CombinedPipeline"
    hint = (
        f". {whole} has both halves: put them together with its class, and save that with"
        " save_pretrained"
        if find_pipeline(whole)
        else ""
    )
    raise ValueError(
        f"{folder} is a {kind.__name__}, which {why if lacks or wants else told[0]}; sdlab runs"
        f" pipelines of diffusers that make a picture of a text{hint}"
    )


class StandIn:
    """Stands in for a part of a pipeline: it has the values that the part's JSON files state."""

    def __init__(self, folder: Path) -> None:
        names = ("config.json", "scheduler_config.json", "tokenizer_config.json")
        files = [folder / name for name in names if (folder / name).is_file()]
        stated = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        self.config = SimpleNamespace(**{k: v for each in stated for k, v in each.items()})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["config"], name)


def stand_in(kind: Any, folder: Path, index: Mapping[str, Any]) -> Any:
    """Makes a pipeline of stand-ins, which knows sizes; None where its class wants more."""
    with suppress(Exception):  # whatever a class does with its parts
        given = {
            name: (StandIn(folder / name) if each[0] else None) if isinstance(each, list) else each
            for name, each in index.items()
            if name in inspect.signature(kind.__init__).parameters
        }
        return kind(**given)
    return None


def find_multiple(default: Mapping[str, Any], pipe: Any, factor: int) -> int:
    """Finds of which a picture's sides are multiples: of a patch of its latents, if not resized."""
    processor = getattr(getattr(pipe, "image_processor", None), "config", None)
    multiple = getattr(processor, "vae_scale_factor", factor)
    if levels := getattr(getattr(getattr(pipe, "movq", None), "config", None), LEVELS, ()):
        return 4 ** (len(levels) - 1)  # Kandinsky's latents are rounded to what theirs halve again
    if default.get("use_resolution_binning") is True:  # the class resizes to what was asked for
        return multiple
    patch = getattr(getattr(getattr(pipe, "transformer", None), "config", None), "patch_size", 1)
    return max(multiple, factor * patch) if isinstance(patch, int) else multiple


def find_native_size(
    kind: Any, default: Mapping[str, Any], pipe: Any, factor: int
) -> tuple[int, int] | None:
    """Finds the (height, width) that a class takes where nothing is said; None if untold."""
    if isinstance(default.get("height"), int):
        return default["height"], default["width"]
    side = getattr(pipe, "default_sample_size", None)
    for name in OFTEN:
        side = side or getattr(getattr(getattr(pipe, name, None), "config", None), "sample_size", 0)
    if isinstance(side, int) and side:
        return side * factor, side * factor
    if isinstance(side, (list, tuple)) and len(side) == 2:
        return side[0] * factor, side[1] * factor
    told = TOLD.search(kind.__call__.__doc__ or "")
    return (int(told[1]), int(told[1])) if told else None


def check_call(recipe: Recipe, call: Call, size: tuple[int, int]) -> None:
    """Refuses sides and options that a call does not take; `size` is the native one."""
    for name, native in zip(SIDES, size):
        side = getattr(recipe, name)
        if name not in call.takes and side != native:
            raise FieldError(
                f"{name}={side}: {call.pipeline} takes none, its pictures have {native}", name
            )
        if side % call.multiple:
            raise FieldError(
                f"{name}={side}: {call.pipeline} makes sides that are multiples of {call.multiple}",
                name,
            )
    for name in read_keywords(recipe.options or ""):
        if name not in call.options:
            field = f"; {name} is a field of the request itself;" * (name in MAPPED)
            raise FieldError(
                f"options: {call.pipeline} is given no {name}"
                f"{field or suggest(name, call.options)} it takes"
                f" {', '.join(call.options) or 'none'}{find_other_way(name)}",
                "options",
            )
