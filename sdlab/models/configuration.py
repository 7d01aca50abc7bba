"""What the JSON files beside a model's weights state, and whether the weights are all there."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .calls import Call, find_pipeline, read_call
from .checkpoint import choose_pack, require_fit
from .locate import EXTRAS, has_weights, list_encoders, list_networks, name_tokenizer
from .tasks import NOT_RUN, TASKS, XL_TASKS, Task, find_tasks, is_xl, list_channels

WIDTH = 320  # of a network whose configuration names no channels: Stable Diffusion's
LAYERS = 51  # of a text encoder of which nothing is known; `clip_skip` is less
STATED = (
    "model_index.json",
    "unet/config.json",
    "vae/config.json",
    "scheduler/scheduler_config.json",
)


@dataclass(frozen=True)
class TextEncoder:
    """What a text encoder's config.json says; `name` is its folder's."""

    name: str
    layers: int
    width: int
    max_tokens: int


@dataclass(frozen=True)
class Layout:
    """What the JSON files of a model say."""

    height: int
    width: int
    factor: int  # pixels of a picture to a pixel of its latents
    channels: int  # of the UNet's first block
    channels_in: int  # that the UNet takes: 4, or with those of pictures more
    pipeline: str  # the class of diffusers that is stated
    prediction_type: str
    encoders: tuple[TextEncoder, ...]  # two in SDXL
    max_noise_level: int = 350  # of an upscaler
    scheduler: Mapping[str, Any] = field(default_factory=dict, compare=False)  # its configuration
    guidance_scale: float | None = 7.5  # natively; None where diffusers' call decides
    num_inference_steps: int = 50  # natively
    call: Call | None = None  # of diffusers', where sdlab has no loop of its own for the model

    @property
    def tasks(self) -> list[Task]:
        """What the model is for; the pictures that a request gives choose among them."""
        return [self.call.task] if self.call else find_tasks(self.channels_in, self.pipeline)

    @property
    def is_xl(self) -> bool:
        """Whether it is SDXL, or its refiner, and runs in sdlab's own loop."""
        return self.call is None and is_xl(self.pipeline)

    @property
    def max_tokens(self) -> int:
        """How many tokens a text has at most, with the marks of its ends."""
        return min(each.max_tokens for each in self.encoders)

    @property
    def text_width(self) -> int:
        """How wide the texts are that the UNet reads: those of all encoders side by side."""
        return sum(each.width for each in self.encoders)

    @property
    def most_skipped(self) -> int:
        """How many of the last layers `clip_skip` can leave out; SDXL leaves one out anyway."""
        return min(each.layers for each in self.encoders) - 1 - self.is_xl


def find_configuration(place: Path, config: str | Path | None, prediction_type: str) -> Path:
    """Finds the folder of JSON files that belongs to a model's folder, or to a single file."""
    if place.is_dir() and config is not None:
        raise ValueError(
            f"config={str(config)!r}: {place} is a folder and has its own configurations; config="
            " goes with a single file"
        )
    if not place.is_file():
        return place
    return (
        choose_pack(place, prediction_type)
        if config is None
        else Path(config).expanduser().absolute()
    )


def read_layout(place: Path, folder: Path) -> Layout:
    """Reads the facts about a model's folder or single file, and the folder of its configurations.

    Raises
    ------
    FileNotFoundError, ValueError
        Something is missing there, or is of no kind that sdlab runs.
    """
    files = [place, *sorted(folder.glob("*.json")), *sorted(folder.glob("*/*.json"))]
    return _layout(
        place, folder, tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
    )


@functools.lru_cache(64)
def _layout(place: Path, folder: Path, changed: tuple[int, ...]) -> Layout:
    """The facts, read again when one of the files has changed."""
    index = read_json(folder / STATED[0])
    if place.is_dir() and not has_own_loop(index, folder):
        return read_call_layout(place, index)
    unet, vae, scheduler = (read_json(folder / name) for name in STATED[1:])
    require_runnable(place, index, unet)
    encoders = tuple(read_encoder(folder / name) for name in list_encoders(index))
    require_one_model(place, unet, vae, encoders)
    if place.is_file():
        for part in list_encoders(index):
            read_json(folder / name_tokenizer(part) / "tokenizer_config.json")
        require_fit(place, folder)
    else:
        require_whole(place, index)
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    size = unet.get("sample_size") or 64
    height, width = (size, size) if isinstance(size, int) else size
    return Layout(
        height=height * factor,
        width=width * factor,
        factor=factor,
        channels=unet["block_out_channels"][0],
        channels_in=unet["in_channels"],
        pipeline=index.get("_class_name", ""),
        max_noise_level=index.get("max_noise_level", 350),
        scheduler=scheduler,
        prediction_type=scheduler.get("prediction_type", "epsilon"),
        encoders=encoders,
        guidance_scale=5.0 if is_xl(index.get("_class_name", "")) else 7.5,  # as in diffusers
    )


def read_encoder(folder: Path) -> TextEncoder:
    """Reads what a text encoder's folder says of it."""
    text = read_json(folder / "config.json")
    return TextEncoder(
        folder.name,
        layers=text.get("num_hidden_layers", 12),
        width=text.get("hidden_size", 512),
        max_tokens=text.get("max_position_embeddings", 77),
    )


def has_own_loop(index: Mapping[str, Any], folder: Path) -> bool:
    """Tells whether a model is for sdlab's own loop, or diffusers has no class of that name."""
    kind, unet = index.get("_class_name", ""), folder / STATED[1]
    if not isinstance(kind, str):
        raise ValueError(
            f"{folder} has a class of its own, {kind!r}, and sdlab runs no program that comes with"
            " a model; it takes pipelines of diffusers"
        )
    if kind in {task.pipeline for task in (*TASKS.values(), *XL_TASKS.values())}:
        shifts = is_xl(kind) and (folder / STATED[2]).is_file()
        if shifts and read_json(folder / STATED[2]).get("latents_mean") is not None:
            return False
        return (
            not (unet.is_file() and read_json(unet).get("time_cond_proj_dim")) or "Latent" in kind
        )
    return find_pipeline(kind) is None


def read_call_layout(folder: Path, index: Mapping[str, Any]) -> Layout:
    """Reads the facts about a folder whose pictures the call of diffusers' pipeline makes."""
    require_all_weights(folder, index)
    call, factor, size = read_call(folder, index)
    parts = [folder / name / "scheduler_config.json" for name in ("scheduler", *index)]
    scheduler = next((read_json(file) for file in parts if file.is_file()), {})
    unet = folder / STATED[1]
    widths = read_json(unet).get("block_out_channels") if unet.is_file() else None
    height, width = size or (0, 0)
    text = folder / "text_encoder/config.json"
    layers = read_json(text).get("num_hidden_layers", LAYERS) if text.is_file() else LAYERS
    return Layout(
        height=height,
        width=width,
        factor=factor,
        channels=widths[0] if widths else WIDTH,
        channels_in=0,
        pipeline=call.pipeline,
        prediction_type=scheduler.get("prediction_type", ""),
        encoders=(TextEncoder("", layers, 0, 0),),
        scheduler=scheduler,
        guidance_scale=call.guidance_scale,
        num_inference_steps=call.num_inference_steps or 50,
        call=call,
    )


def require_runnable(place: Path, index: dict, unet: dict) -> None:
    """Refuses what is no model of v1, v2 or SDXL for one of the tasks."""
    kind, channels = index.get("_class_name", ""), unet.get("in_channels", 0)
    tasks = find_tasks(channels, kind)
    if tasks and tasks[0].by_class:
        if place.is_file() and tasks[0].pack is None:
            raise ValueError(
                f"{place} is a single file, and sdlab reads {tasks[0].title} from a folder in"
                " diffusers' layout alone; give that"
            )
        return require_refiner(place, index)
    strange = "text_encoder_2" in index or unet.get("addition_embed_type")
    if bool(strange) != is_xl(kind) or not tasks:
        made_for = f", {NOT_RUN[channels]}" if channels in NOT_RUN else ""
        raise ValueError(
            f"{place} is a {kind} whose UNet takes {channels} channels{made_for}; sdlab runs"
            f" pipelines of v1, v2 and SDXL whose UNet takes {list_channels()}"
        )
    if unet.get("time_cond_proj_dim"):
        raise ValueError(
            f"{place} is a latent consistency model: guidance enters its UNet as an embedding,"
            " which sdlab does not compute; take the checkpoint that it was made of, with"
            " LCMScheduler and its LoRA"
        )


def require_refiner(place: Path, index: dict) -> None:
    """Refuses an SDXL that was saved as its refiner's class, and is not told of beauty."""
    if is_xl(index["_class_name"]) and not index.get("requires_aesthetics_score"):
        raise ValueError(
            f"{place} is of the refiner's class, {index['_class_name']}, without"
            " requires_aesthetics_score; if it is no refiner, write StableDiffusionXLPipeline as"
            " _class_name into its model_index.json, which does img2img too"
        )


def require_one_model(
    place: Path, unet: dict, vae: dict, encoders: tuple[TextEncoder, ...]
) -> None:
    """Refuses parts of several models, whose widths do not go together."""
    width, channels = sum(each.width for each in encoders), vae.get("latent_channels", 4)
    reads, makes = unet.get("cross_attention_dim", 1280), unet.get("out_channels", 4)
    if unet.get("encoder_hid_dim") is None and reads not in (width, [width] * 4):
        raise ValueError(
            f"{place}: its text encoder makes texts {width} wide, and its UNet reads {reads} (768"
            " is v1, 1024 is v2, 2048 is SDXL): these are parts of two models; take both from one"
        )
    if vae.get("latents_mean") is not None:
        raise ValueError(
            f"{place}: its VAE states latents_mean, by which sdlab does not shift; the colours"
            " would be wrong"
        )
    if makes < channels:
        raise ValueError(
            f"{place}: its UNet makes latents of {makes} channels, and its VAE reads {channels}:"
            " these are parts of two models; take both from one"
        )


def require_all_weights(folder: Path, index: Mapping[str, Any]) -> None:
    """Refuses a folder that lacks weights of a network that it names."""
    more = [part for part in EXTRAS if (index.get(part) or [None])[0]]
    for part in (*list_networks(folder), *more):
        require_weights(folder / part)


def require_whole(folder: Path, index: dict) -> None:
    """Refuses a folder that lacks weights or the tokenizer."""
    require_all_weights(folder, index)
    for part in list_encoders(index):
        if not (tokenizer := folder / name_tokenizer(part)).is_dir():
            raise FileNotFoundError(f"{tokenizer} is missing: is the model's folder complete?")


def require_weights(folder: Path) -> None:
    """Refuses a part's folder without weights."""
    if not has_weights(folder):
        left = (
            f"; to do without, write [null, null] for {folder.name!r} in"
            f" {folder.parent}/model_index.json"
        )
        raise FileNotFoundError(
            f"{folder} holds no weights (a .safetensors file of the name that diffusers gives it,"
            " and not the small pointer that git leaves in place of a large file)"
            + left
            * (folder.name == "safety_checker")
        )


def read_json(path: Path) -> dict:
    """Reads a file of a model's folder, or says what is wrong with that."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} is missing: is the model's folder complete, and in diffusers' layout?"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is not readable as JSON: {error}") from None
