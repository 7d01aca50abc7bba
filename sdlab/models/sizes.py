"""How much memory a model takes, counted from its files: no weights are read."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from pathlib import Path

from .checkpoint import TEXT, UNET, VAE, build_networks, read_head, tell_family
from .configuration import read_json
from .heads import read_shapes
from .locate import ENCODERS, find_weights
from .memory import OFTEN
from .model import Model
from .resolve import Native
from .tasks import find_tasks

VAE_WIDTH = 128  # of a VAE whose configuration does not say


@dataclass(frozen=True)
class Sizes:
    """What decides how much memory a model takes: numbers, whatever their format, but for `factor`.

    Parameters
    ----------
    weights, text, unet : int
        Of all its networks, and of the text encoder and the UNet among them.
    largest : int
        The UNet's largest tensor, of which a processor's library makes a copy in its own order.
    unet_width, vae_width : int
        Channels of the first blocks, which work on the largest pictures.
    factor : int
        Pixels of a picture to one of its latents.
    predictions : int
        Rows of a picture in a call of the UNet.
    alone : bool
        Whether cells are computed one at a time, with all threads.
    whole : bool
        Whether pictures are decoded whole on every level, as seamless ones are.
    """

    weights: int
    text: int
    unet: int
    largest: int
    unet_width: int
    vae_width: int
    factor: int
    predictions: int = 2
    alone: bool = False
    whole: bool = False


def read_sizes(model: Model) -> Sizes:
    """Reads the sizes of a model that is here, from the heads of its files: no weights are read."""
    if model.layout.call:
        return sum_pipeline(parts_of_folder(model.place), model)
    return _sizes(model.place, model.configuration, model.place.stat().st_mtime_ns)


def read_own_sizes(own: Native) -> Sizes:
    """Reads the sizes of a model with the parts and edges of a cell."""
    return dataclasses.replace(read_sizes(own.model), whole=own.swaps.tiling is not None)


@functools.lru_cache(64)
def _sizes(path: Path, config: Path, changed: int) -> Sizes:
    return sum_sizes(parts_of_file(path) if path.is_file() else parts_of_folder(path), config)


def sum_sizes(parts: dict[str, list[int]], config: Path) -> Sizes:
    """Sums up the tensors of the parts, with the widths that the folder of JSON files states."""
    network, vae = (read_json(config / part / "config.json") for part in ("unet", "vae"))
    kind = read_json(config / "model_index.json").get("_class_name", "")
    return Sizes(
        sum(map(sum, parts.values())),
        sum(sum(counts) for name, counts in parts.items() if name in ENCODERS),
        sum(parts["unet"]),
        max(parts["unet"]),
        network["block_out_channels"][0],
        vae["block_out_channels"][0],
        2 ** (len(vae["block_out_channels"]) - 1),
        max(task.predictions for task in find_tasks(network["in_channels"], kind)),
    )


def sum_pipeline(parts: dict[str, list[int]], model: Model) -> Sizes:
    """Sums up the tensors of a pipeline that runs in diffusers' own call.

    Activations are estimated as those of a UNet of Stable Diffusion, where nothing was measured.
    """
    layout, vae = model.layout, model.place / "vae/config.json"
    widths = read_json(vae).get("block_out_channels") if vae.is_file() else None
    often = [count for name in OFTEN for count in parts.get(name, ())]
    return Sizes(
        sum(map(sum, parts.values())),
        0,  # the text encoder stays
        sum(often),
        max(often, default=0),
        layout.channels,
        widths[0] if widths else VAE_WIDTH,
        layout.factor,
        alone=True,
    )


def parts_of_file(path: Path) -> dict[str, list[int]]:
    """Counts {part: numbers in each tensor} of a single file; what else is in it is not loaded."""
    prefixes = {"unet": UNET, "vae": VAE, **TEXT[tell_family(path)]}
    return {
        part: [
            math.prod(shape) for name, shape in read_head(path).items() if name.startswith(prefix)
        ]
        for part, prefix in prefixes.items()
    }


def parts_of_folder(folder: Path) -> dict[str, list[int]]:
    """Counts the same of a folder: in each part the files that are read."""
    named = [
        part
        for part, value in read_json(folder / "model_index.json").items()
        if isinstance(value, list) and value[0]
    ]
    found = {
        part: [
            math.prod(shape)
            for file in find_weights(folder / part)
            for shape in read_shapes(file).values()
        ]
        for part in named
    }
    return {part: counts for part, counts in found.items() if counts}


@functools.lru_cache(8)
def count_networks(config: Path) -> dict[str, list[int]]:
    """Counts {part: numbers in each tensor} of a configuration's networks, without weights."""
    parts = build_networks(config)
    return {name: [p.numel() for p in part.parameters()] for name, part in parts.items()}
