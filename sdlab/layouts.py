"""What the JSON files beside a model's weights state, and whether the weights are all there."""
from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from .checkpoints import pack, require_fit
from .locations import PARTS, lacking

STATED = ("model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json",
          "scheduler/scheduler_config.json")


@dataclass(frozen=True)
class Layout:
    """What the JSON files of a model say."""

    height: int
    width: int
    factor: int  # pixels of a picture to a pixel of its latents
    channels: int  # of the UNet's first block
    scheduler: str
    prediction_type: str
    text_layers: int
    text_width: int
    max_tokens: int


def configuration(path: str | Path, config: str | Path | None = None, prediction_type: str = "") -> Path:
    """The folder of JSON files that belongs to a model's folder, which is that, or to a single file."""
    path = Path(path).expanduser().resolve()
    if path.is_dir() and config is not None:
        raise ValueError(f"config={str(config)!r}: {path} is a folder and has its own configurations; config= goes with a "
                         "single file")
    if path.is_file():
        return Path(config).expanduser().resolve() if config is not None else pack(path, prediction_type)
    return path


def layout_of(path: str | Path, config: str | Path | None = None, prediction_type: str = "") -> Layout:
    """The facts about a model's folder or single file; an error says what is missing there or cannot be run."""
    place, folder = Path(path).expanduser().resolve(), configuration(path, config, prediction_type)
    stamps = tuple(each.stat().st_mtime_ns if each.exists() else 0 for each in [place, *(folder / name for name in STATED)])
    return _layout(place, folder, stamps)


@functools.lru_cache(64)
def _layout(place: Path, folder: Path, changed: tuple[int, ...]) -> Layout:
    """The facts, read again when one of the files has changed."""
    index, unet, vae, text, scheduler = (read_json(folder / name) for name in STATED)
    require_runnable(place, index, unet)
    if place.is_file():
        read_json(folder / "tokenizer/tokenizer_config.json")
        require_fit(place, folder)
    else:
        require_whole(place)
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    size = unet.get("sample_size") or 64
    height, width = (size, size) if isinstance(size, int) else size
    return Layout(
        height=height * factor, width=width * factor, factor=factor, channels=unet["block_out_channels"][0],
        scheduler=scheduler["_class_name"], prediction_type=scheduler.get("prediction_type", "epsilon"),
        text_layers=text.get("num_hidden_layers", 12), text_width=text.get("hidden_size", 512),
        max_tokens=text.get("max_position_embeddings", 77))


def require_runnable(place: Path, index: dict, unet: dict) -> None:
    """Refuses what is no text-to-image model of this layout."""
    kind = index.get("_class_name")
    if "text_encoder_2" in index or unet.get("addition_embed_type") or unet.get("in_channels") != 4:
        raise ValueError(f"{place} is a {kind} whose UNet takes {unet.get('in_channels')} channels; text-to-image needs a "
                         "StableDiffusionPipeline (v1 or v2) whose UNet takes 4")
    if unet.get("time_cond_proj_dim"):
        raise ValueError(f"{place} is a latent consistency model: guidance enters its UNet as an embedding, which sdlab does "
                         "not compute; take the checkpoint that it was made of, with LCMScheduler and its LoRA")


def require_whole(folder: Path) -> None:
    """Refuses a folder that lacks weights or the tokenizer."""
    for part in PARTS:
        if lacking(folder, part):
            raise FileNotFoundError(f"{folder / part} holds no weights (a .safetensors file without a variant in its name, "
                                    "and not the small pointer that git leaves in place of a large file)")
    if not (folder / "tokenizer").is_dir():
        raise FileNotFoundError(f"{folder / 'tokenizer'} is missing: is the model's folder complete?")


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: is the model's folder complete, and in diffusers' layout?") from None
    except ValueError as error:
        raise ValueError(f"{path} is not readable as JSON: {error}") from None
