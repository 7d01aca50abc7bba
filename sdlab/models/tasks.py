"""What a model and a request together ask for: a picture of a text alone, or of a text and other pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..pictures import PICTURES, is_known, require_picture

if TYPE_CHECKING:
    from ..recipe.request import Request

LARGEST = 8192  # pixels, of a request's height and width


@dataclass(frozen=True)
class Task:
    """A row of the table.

    Parameters
    ----------
    pipeline : str
        The class of diffusers whose results a cell equals.
    needs : tuple of str
        The pictures that must be given.
    takes : tuple of str
        Other fields that have a meaning.
    native : mapping
        What is meant where such a field is left open: diffusers' own defaults.
    lacks : tuple of str
        Fields that otherwise always have a meaning, and here none.
    scheduler : str
        The one class that works; "" if all do.
    """

    pipeline: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    native: Mapping[str, Any]
    lacks: tuple[str, ...] = ()
    scheduler: str = ""


TASKS = {
    "txt2img": Task("StableDiffusionPipeline", (), (), {}),
    "img2img": Task("StableDiffusionImg2ImgPipeline", ("image",), ("strength",), {"strength": 0.8}),
    "inpaint": Task(
        "StableDiffusionInpaintPipeline", ("image", "mask_image"), ("strength",), {"strength": 1.0}
    ),
    "depth2img": Task(
        "StableDiffusionDepth2ImgPipeline", ("image",), ("depth_map", "strength"), {"strength": 0.8}
    ),
    "upscale": Task(
        "StableDiffusionUpscalePipeline", ("image",), ("noise_level",), {"noise_level": 20}
    ),
    "latent_upscale": Task(
        "StableDiffusionLatentUpscalePipeline",
        ("image",),
        (),
        {},
        scheduler="EulerDiscreteScheduler",
        lacks=("clip_skip", "guidance_rescale", "prompt_syntax", "lora", "textual_inversion"),
    ),
}
MADE_FOR = {  # the channels that a UNet takes: its model's task
    4: "txt2img",
    9: "inpaint",
    5: "depth2img",
    7: "upscale",
    8: "latent_upscale",
}
ONLY = {  # field: what it goes with
    "image": "",
    "mask_image": (
        "image= on a model of texts or of inpainting, such as 'tiny-v1' or 'sd-v1-5-inpainting'"
    ),
    "depth_map": "a model guided by depth, such as 'tiny-depth' or 'sd-v2-depth'",
    "strength": "image= on any model but an upscaler",
    "noise_level": "a x4 upscaler, such as 'sd-x4-upscaler'",
}
SHOWS = {
    "image": "the picture to begin with",
    "mask_image": "white where the picture is to be painted anew",
}


def task_of(request: Request, channels: int) -> str:
    """The request's task with a UNet that takes so many channels."""
    if channels != 4:
        return MADE_FOR[channels]
    return (
        "txt2img"
        if request.image is None
        else "img2img"
        if request.mask_image is None
        else "inpaint"
    )


def native_values(
    request: Request, channels: int, factor: int, max_noise_level: int
) -> dict[str, Any]:
    """What the request leaves open and its task decides: strength or noise level, height and width.

    Parameters
    ----------
    channels : int
        That the UNet takes.
    factor : int
        Pixels of a picture to one of its latents.
    max_noise_level : int
        Of an upscaler.

    Raises
    ------
    ValueError
        A picture is missing, a field has no meaning for the task, or the size of the input picture
        is unknown.
    """
    name = task_of(request, channels)
    task = TASKS[name]
    require_fitting(request, name)
    values = {**task.native, **{field: None for field in ("height", "width")}}
    if name in ("upscale", "latent_upscale"):
        values |= upscaled(request, name, factor)
        if (request.noise_level or 0) > max_noise_level:
            raise ValueError(
                f"noise_level={request.noise_level}: this upscaler has learned 0 to"
                f" {max_noise_level}"
            )
    elif task.needs and None in (request.height, request.width):
        values |= own_size(request)
    return {
        field: value
        for field, value in values.items()
        if value is not None and getattr(request, field) is None
    }


def require_fitting(request: Request, name: str) -> None:
    """Refuses a request that lacks what its task needs, or states what has no meaning there."""
    task = TASKS[name]
    for field in task.needs:
        if getattr(request, field) is None:
            raise ValueError(
                f"model {request.model!r} is for {name} and needs {field}=, {SHOWS[field]}"
            )
    for field in (*PICTURES, "strength", "noise_level"):
        if getattr(request, field) is not None and field not in (*task.needs, *task.takes):
            raise ValueError(
                f"{field}={getattr(request, field)!r} has no meaning for {name} with model"
                f" {request.model!r}; it goes with {ONLY[field]}"
            )
    for field in task.lacks:
        if getattr(request, field):
            raise ValueError(
                f"{field}={getattr(request, field)!r:.200}: model {request.model!r} runs in"
                f" diffusers' own {task.pipeline}, which has no {field}; leave it out"
            )


def require_scheduler(request: Request, channels: int) -> None:
    """Refuses another scheduler than the only one that works for the resolved request's task."""
    only = TASKS[task_of(request, channels)].scheduler
    if only and request.scheduler.partition("(")[0] != only:
        raise ValueError(
            f"scheduler={request.scheduler!r}: model {request.model!r} works with {only} alone; use"
            " that, or leave it out"
        )


def require_steps(strength: float | None, num_inference_steps: int) -> None:
    """Refuses a strength so small that no step is left."""
    if strength is not None and steps_taken(strength, num_inference_steps) < 1:
        raise ValueError(
            f"strength={strength} of {num_inference_steps} steps is less than one step, so the"
            " input picture would stay as it is; use at least"
            f" {math.ceil(1000 / num_inference_steps) / 1000:g}, or more steps"
        )


def steps_taken(strength: float | None, num_inference_steps: int) -> int:
    """How many of the steps are computed: the last ones, as in diffusers."""
    return (
        num_inference_steps
        if strength is None
        else min(int(num_inference_steps * strength), num_inference_steps)
    )


def own_size(request: Request) -> dict[str, int]:
    """Height and width of the input picture, rounded down to multiples of 8; one that is not stated follows the other."""
    width, height = require_picture(request.image).size
    if request.height:
        width = 8 * max(round(width * request.height / height / 8), 1)
    if request.width:
        height = 8 * max(round(height * request.width / width / 8), 1)
    width, height = width - width % 8, height - height % 8
    for field, side in (("height", height), ("width", width)):
        if getattr(request, field) is None and not 8 <= side <= LARGEST:
            raise ValueError(
                f"the input picture has {field} {side}, outside 8 to {LARGEST}; state height= and"
                " width="
            )
    return {"height": height, "width": width}


def upscaled(request: Request, name: str, factor: int) -> dict[str, int]:
    """Height and width of the result, which the input picture decides; `factor` as for `native_values`."""
    if (
        request.height and request.width and not is_known(request.image)
    ):  # nothing is rendered without it
        return {}
    times, least, multiple = (
        (2, 64, 32) if name == "latent_upscale" else (factor, *[8 // factor or 1] * 2)
    )
    width, height = (side - side % times for side in require_picture(request.image).size)
    made = {"height": height * times, "width": width * times}
    for field, side in made.items():
        if getattr(request, field) not in (None, side):
            raise ValueError(
                f"{field}={getattr(request, field)}: the upscaler makes"
                f" {made['width']}x{made['height']} of this picture, so leave height and width out"
            )
        if side % (times * multiple) or not times * least <= side <= LARGEST:
            raise ValueError(
                f"the upscaler would make a picture of {field} {side}; give one of at most"
                f" {LARGEST // times} pixels a side, at least {least}, and multiples of {multiple}:"
                " crop or resize it"
            )
    return made
