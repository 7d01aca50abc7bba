"""Tells what a model and a request ask for: a picture of a text, or of other pictures, too."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import FieldError, blame_field
from ..pictures import is_known, require_picture
from ..recipe.options import read_keywords
from ..recipe.request import SPECS, Recipe, Request
from ..recipe.schedulers import TWICE

if TYPE_CHECKING:
    from .configuration import Layout

LARGEST = 8192  # pixels, of a request's height and width
OTHER_WAYS = {  # arguments of diffusers' calls that no request has: what to do instead
    r"(negative_)?prompt_2": "prompt and negative_prompt are what all text encoders are given",
    r"negative_(original_size|crops_coords_top_left|target_size)": (
        "original_size, crops_coords_top_left and target_size count for the negative prompt, too"
    ),
    r"denoising_(start|end)": (
        "each picture is finished; to have another model go on, such as SDXL's refiner, give the"
        " picture to it as image=, with the share of the steps that it does as strength="
    ),
}


@dataclass(frozen=True)
class Enlarging:
    """How many times an upscaler enlarges, and which sides, in pixels, its input may have."""

    times: int
    least: int
    multiple: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the table: all that sdlab knows of a task.

    Parameters
    ----------
    pipeline : str
        The class of diffusers that loads the model, and whose results a cell equals.
    channels : tuple of int
        That the UNets of its models take.
    by_class : bool
        These channels do not tell: the class that a model's folder states must be `pipeline`. A
        single file, which states none, is refused, unless its tensors tell (`pack`).
    title : str
        What a model that is made for it is, in a few words.
    pack : str, optional
        How the packed configurations for single files end; None if none come with sdlab.
    needs : tuple of str
        The pictures that must be given. Where some are, height and width follow from the image.
    takes : tuple of str
        Other fields that have a meaning.
    native : mapping
        What is meant where such a field is left open: diffusers' own defaults.
    lacks : tuple of str
        Fields that otherwise always have a meaning, and here none.
    scheduler : str
        The one class that works; "" if all do.
    enlarges : callable, optional
        Given the pixels of a picture to one of its latents, tells how an upscaler enlarges. Then
        the size follows from the image's, and the native one does not matter.
    encodes : bool
        A VAE reads the image before denoising, or the latents are never at hand: either way none
        are kept from which a picture could be decoded once more.
    predictions : int
        How many the network makes for a picture in each step.
    start : str
        What begins the denoising: the method of `render.start.Conditions` of that name, behind an
        underscore. "" if the task runs in diffusers' own pipeline.
    """

    pipeline: str
    channels: tuple[int, ...]
    by_class: bool = False
    title: str = ""
    pack: str | None = None
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    native: Mapping[str, Any] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    scheduler: str = ""
    enlarges: Callable[[int], Enlarging] | None = None
    encodes: bool = True
    predictions: int = 2
    start: str = ""

    @property
    def name(self) -> str:
        """What it is called, in its table and in a frame."""
        tables = *TASKS.items(), *XL_TASKS.items()
        return next((name for name, row in tables if row is self), "txt2img")


TASKS = {  # of the tasks of one model, those with more pictures come later
    "txt2img": Task(
        pipeline="StableDiffusionPipeline",
        channels=(4,),
        title="made for txt2img",
        pack="",
        encodes=False,
        start="from_noise",
    ),
    "img2img": Task(
        pipeline="StableDiffusionImg2ImgPipeline",
        channels=(4,),
        needs=("image",),
        takes=("strength",),
        native={"strength": 0.8},
        start="from_picture",
    ),
    "inpaint": Task(
        pipeline="StableDiffusionInpaintPipeline",
        channels=(4, 9),
        title="made for inpainting",
        pack="-inpainting",
        needs=("image", "mask_image"),
        takes=("strength",),
        native={"strength": 1.0},
        start="inside_mask",
    ),
    "depth2img": Task(
        pipeline="StableDiffusionDepth2ImgPipeline",
        channels=(5,),
        title="guided by depth",
        needs=("image",),
        takes=("depth_map", "strength"),
        native={"strength": 0.8},
        start="with_depth",
    ),
    "upscale": Task(
        pipeline="StableDiffusionUpscalePipeline",
        channels=(7,),
        title="a x4 upscaler",
        needs=("image",),
        takes=("noise_level",),
        native={"noise_level": 20},
        enlarges=lambda factor: Enlarging(factor, *[8 // factor or 1] * 2),
        encodes=False,
        start="enlarging",
    ),
    "latent_upscale": Task(
        pipeline="StableDiffusionLatentUpscalePipeline",
        channels=(8,),
        by_class=True,
        title="the x2 upscaler of latents",
        needs=("image",),
        lacks=(
            *("clip_skip", "guidance_rescale", "prompt_syntax", "tiling"),
            *("lora", "textual_inversion"),
        ),
        scheduler="EulerDiscreteScheduler",
        enlarges=lambda factor: Enlarging(2, 64, 32),
    ),
    "edit": Task(
        pipeline="StableDiffusionInstructPix2PixPipeline",
        channels=(8,),
        by_class=True,
        title="a model that follows instructions (InstructPix2Pix)",
        needs=("image",),
        takes=("image_guidance_scale",),
        native={"image_guidance_scale": 1.5},
        predictions=3,
        start="beside_picture",
    ),
}
SIZES = ("original_size", "crops_coords_top_left", "target_size")
XL_TASKS = {  # the same of SDXL, with the native values of its pipelines in diffusers
    "txt2img": Task(
        pipeline="StableDiffusionXLPipeline",
        channels=(4,),
        title="SDXL, made for txt2img",
        pack="",
        takes=SIZES,
        encodes=False,
        start="from_noise",
    ),
    "img2img": Task(
        pipeline="StableDiffusionXLImg2ImgPipeline",
        channels=(4,),
        needs=("image",),
        takes=("strength", *SIZES),
        native={"strength": 0.3},
        start="from_picture",
    ),
    "inpaint": Task(
        pipeline="StableDiffusionXLInpaintPipeline",
        channels=(4, 9),
        title="SDXL, made for inpainting",
        needs=("image", "mask_image"),
        takes=("strength", *SIZES),
        native={"strength": 0.9999},
        start="inside_mask",
    ),
    "refine": Task(
        pipeline="StableDiffusionXLImg2ImgPipeline",
        channels=(4,),
        by_class=True,
        title="SDXL's refiner",
        pack="",
        needs=("image",),
        takes=("strength", "aesthetic_score", "negative_aesthetic_score", *SIZES[:2]),
        native={"strength": 0.3, "aesthetic_score": 6.0, "negative_aesthetic_score": 2.5},
        start="from_picture",
    ),
}
NOT_RUN = {8: "made for following instructions (InstructPix2Pix)"}  # channels: such a model


def is_xl(pipeline: str) -> bool:
    """Tells whether a class of diffusers runs SDXL, in one of the ways that sdlab does."""
    return any(row.pipeline == pipeline for row in XL_TASKS.values())


def find_tasks(channels: int, pipeline: str = "") -> list[Task]:
    """Finds what a model is for, by its UNet's channels and the class that its folder states."""
    table = XL_TASKS if is_xl(pipeline) else TASKS
    rows = [row for row in table.values() if channels in row.channels]
    of_class = [row for row in rows if row.by_class and row.pipeline == pipeline]
    return of_class or [row for row in rows if not row.by_class]


def choose_task(request: Request, tasks: Sequence[Task]) -> Task:
    """Chooses the last of a model's tasks whose pictures the request gives, or else the first."""
    given = (row for row in tasks if all(getattr(request, name) is not None for name in row.needs))
    return [tasks[0], *given][-1]


def list_channels() -> str:
    """Lists the known numbers of channels, each with its first task: "4 (txt2img), ..."."""
    first = {n: name for name, row in reversed(TASKS.items()) for n in row.channels}
    return ", ".join(f"{number} ({first[number]})" for number in sorted(first))


def fill_natives(request: Request, layout: Layout) -> dict[str, Any]:
    """Says what the request leaves open and its task decides, such as strength, height and width.

    Raises
    ------
    FieldError
        A picture is missing, a field has no meaning for the task, or the size of the input picture
        is unknown.
    """
    task = choose_task(request, layout.tasks)
    require_meaning(request, task)
    values = dict(task.native)
    if task.enlarges:
        values |= enlarge_size(request, task.enlarges(layout.factor))
    elif task.needs and None in (request.height, request.width):
        values |= follow_size(request)
    if (request.noise_level or 0) > layout.max_noise_level:
        raise FieldError(
            f"noise_level={request.noise_level}: this upscaler has learned 0 to"
            f" {layout.max_noise_level}",
            "noise_level",
        )
    return {name: value for name, value in values.items() if getattr(request, name) is None}


def require_meaning(request: Request, task: Task) -> None:
    """Refuses a request that lacks what its task needs, or states what has no meaning there."""
    for name in task.needs:
        if getattr(request, name) is None:
            raise FieldError(
                f"model {request.model!r} is for {task.name} and needs {name}=,"
                f" {SPECS[name].shows}",
                name,
            )
    require_none_lacking(request, task)
    for name, spec in SPECS.items():
        value = getattr(request, name)
        known = not spec.goes_with or name in (*task.needs, *task.takes)
        if not known and value not in (None, spec.neutral):
            raise FieldError(
                f"{name}={value!r} has no meaning for {task.name} with model {request.model!r}; it"
                f" goes with {spec.goes_with}{find_other_ways(name, value)}",
                name,
            )


def find_other_ways(name: str, value: Any) -> str:
    """Says what to do in place of the options that a model of sdlab's own loop is not given."""
    return "".join(map(find_other_way, read_keywords(value))) if name == "options" else ""


def find_other_way(option: str) -> str:
    """Says what to do in place of an argument that no call is given; "" where nothing is known."""
    known = (way for names, way in OTHER_WAYS.items() if re.fullmatch(names, option))
    return "".join(f". In place of {option}: {way}" for way in known)


def require_none_lacking(request: Request, task: Task) -> None:
    """Refuses a field that otherwise always has a meaning, and not for this task."""
    for name in task.lacks:
        value = getattr(request, name)
        if value not in (None, SPECS[name].neutral):
            raise FieldError(
                f"{name}={value!r:.200}: model {request.model!r} runs in diffusers' own"
                f" {task.pipeline}, which is given no {name} here; leave it out",
                name,
            )


def require_scheduler(recipe: Recipe, task: Task) -> None:
    """Refuses another scheduler than the only one that works for the task."""
    if task.scheduler and recipe.scheduler.partition("(")[0] != task.scheduler:
        raise FieldError(
            f"scheduler={recipe.scheduler!r}: model {recipe.model!r} works with {task.scheduler}"
            " alone; use that, or leave it out",
            "scheduler",
        )


def require_steps(strength: float | None, num_inference_steps: int) -> None:
    """Refuses a strength so small that no step is left."""
    if strength is not None and count_steps(strength, num_inference_steps) < 1:
        raise FieldError(
            f"strength={strength} of {num_inference_steps} steps is less than one step, so the"
            " input picture would stay as it is; use at least"
            f" {math.ceil(1000 / num_inference_steps) / 1000:g}, or more steps",
            "strength",
        )


def count_steps(strength: float | None, num_inference_steps: int) -> int:
    """Counts the steps that are computed: the last ones, as in diffusers."""
    return min(
        int(num_inference_steps * (1 if strength is None else strength)), num_inference_steps
    )


def count_calls(scheduler: str, strength: float | None, num_inference_steps: int) -> int:
    """Counts the calls of the network in the steps that are computed."""
    steps, kind = count_steps(strength, num_inference_steps), scheduler.partition("(")[0]
    if kind in TWICE:
        return 2 * steps - 1
    return steps + (kind == "PNDMScheduler" and steps > 1)  # which takes its first step twice


def follow_size(request: Request) -> dict[str, int]:
    """Rounds the input picture's sides down to multiples of 8; one not stated follows the other."""
    with blame_field("image"):
        width, height = require_picture(request.image).size
    if request.height:
        width = 8 * max(round(width * request.height / height / 8), 1)
    if request.width:
        height = 8 * max(round(height * request.width / width / 8), 1)
    made = {"height": height - height % 8, "width": width - width % 8}
    for name, side in made.items():
        if getattr(request, name) is None and not 8 <= side <= LARGEST:
            raise FieldError(
                f"the input picture has {name} {side}, outside 8 to {LARGEST}; state height= and"
                " width=",
                name,
            )
    return made


def enlarge_size(request: Request, by: Enlarging) -> dict[str, int]:
    """Computes height and width of an upscaler's result from those of its input picture."""
    if request.height and request.width and not is_known(request.image):
        return {}  # nothing is rendered without it
    with blame_field("image"):
        width, height = (side - side % by.times for side in require_picture(request.image).size)
    made = {"height": height * by.times, "width": width * by.times}
    for name, side in made.items():
        if getattr(request, name) not in (None, side):
            raise FieldError(
                f"{name}={getattr(request, name)}: the upscaler makes"
                f" {made['width']}x{made['height']} of this picture, so leave height and width out",
                name,
            )
        if side % (by.times * by.multiple) or not by.times * by.least <= side <= LARGEST:
            raise FieldError(
                f"the upscaler would make a picture of {name} {side}; give one of at most"
                f" {LARGEST // by.times} pixels a side, at least {by.least}, and multiples of"
                f" {by.multiple}: crop or resize it",
                "image",
            )
    return made
