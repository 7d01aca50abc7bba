"""Whether weights fit the networks that their configurations describe, told before any are read.

Libraries fill what a file lacks with random numbers, so the same recipe would make another picture
in every session. Here they load onto torch's "meta" device, where tensors have shapes and no
numbers: from the heads of the files they tell themselves what is missing. So old names that they
convert, and tensors that they do without, are allowed.
"""

from __future__ import annotations

import functools
import importlib
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import tiny
from .checkpoint import (
    build_vae,
    convert_vae,
    read_head,
    read_tokenizer,
    require_complete,
    require_same,
)
from .configuration import read_json
from .heads import read_number_format, read_shapes
from .locate import find_weights, list_encoders, name_tokenizer, tell_variant
from .parts import Vae
from .quiet import silence_libraries
from .resolve import Native

SHIPPED = Path(tiny.__file__).parent
ADVICE = (
    "The weights are of another network, were saved under other names, or the folder mixes two"
    " models: take the part's config.json and weights from one download, or save them again with"
    " the library that made them"
)


def require_weights_fit(own: Native) -> None:
    """Refuses a model, and a VAE in the place of its own, whose files do not fill their networks.

    What was found to fit is remembered, by the content of the files.

    Raises
    ------
    ValueError
        Tensors are missing or of another shape; the first ones are named, with their file.
    """
    if not own.model.place.is_relative_to(SHIPPED):  # those were compared when they were packed
        require_networks(own.model.place, own.model.configuration, own.weights)
        if not own.layout.call:
            require_words(own.model.configuration, own.weights)
    if own.swaps.vae:
        require_vae(*own.swaps.vae)


@functools.lru_cache(64)
def require_networks(place: Path, config: Path, weights: str) -> None:
    """Refuses a model's folder or single file whose weights do not fit."""
    with silence_libraries():
        if place.is_file():
            require_complete(place, config)
        index = read_json(config / "model_index.json")
        parts = ["depth_estimator"] if place.is_file() else [*index]  # of a file, that alone
        for part in parts:
            if isinstance(index.get(part), list) and find_weights(config / part):
                require_part(config / part, find_class(*index[part]))


@functools.lru_cache(64)
def require_words(config: Path, weights: str) -> None:
    """Refuses a tokenizer that gives tokens to which the text encoder has no vectors.

    Words that somebody added to it do not count: a prompt may well do without.
    """
    for part in list_encoders(read_json(config / "model_index.json")):
        count = read_json(config / part / "config.json").get("vocab_size", 49408)
        folder = name_tokenizer(part)
        with silence_libraries():
            tokenizer = read_tokenizer(config, folder)
        added = tokenizer.get_added_vocab()
        highest = max(n for word, n in tokenizer.get_vocab().items() if word not in added)
        if highest >= count:
            raise ValueError(
                f"{config / folder} does not fit the text encoder: it gives tokens up to"
                f" {highest}, where {part}/config.json states vocab_size {count}. Take both from"
                " one model"
            )


@functools.lru_cache(64)
def require_vae(vae: Vae, weights: str) -> None:
    """Refuses a VAE, of that fingerprint, whose weights do not fit."""
    import torch

    with silence_libraries():
        if vae.path.is_dir():
            return require_part(vae.path, find_class("diffusers", vae.kind))
        shapes = read_head(vae.path).items()
        given = {name: torch.empty(shape, device="meta") for name, shape in shapes}
        network = build_vae(vae.config)
        require_same(f"{vae.path}: its VAE", network, lambda: convert_vae(network, given))


def find_class(library: str, name: str) -> Any:
    """Finds the class that a model_index.json names; None if the libraries do not have it."""
    import diffusers

    if library in ("diffusers", "transformers"):
        return getattr(importlib.import_module(library), name, None)
    return getattr(getattr(diffusers.pipelines, library, None), name, None)


def require_part(folder: Path, kind: Any) -> None:
    """Refuses the folder of a network, of a class of diffusers or transformers, by its heads."""
    if kind is None:
        return  # the library says so as it opens the model
    if lost := list_lost(folder):
        complain(folder, kind.__name__, {"missing_keys": lost})
    try:
        made, told = kind.from_pretrained(
            folder,
            device_map="meta",
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            variant=tell_variant(folder),
            dtype=choose_dtype(folder),
            local_files_only=True,
        )
    except Exception as error:  # the libraries have many ways to say that a folder is damaged
        said = textwrap.shorten(str(error), 300, placeholder=" …")
        raise ValueError(
            f"{folder} is not readable as {kind.__name__} ({type(error).__name__}: {said})."
            f" {ADVICE}"
        ) from None
    complain(folder, kind.__name__, told | {"beyond": list_beyond(made, told["unexpected_keys"])})


def choose_dtype(folder: Path) -> Any:
    """Chooses the number format of a part's files: to convert tensors, a library reads them."""
    import torch

    known = {"F16": torch.float16, "BF16": torch.bfloat16}
    safe = [file for file in find_weights(folder) if file.suffix == ".safetensors"]
    return known.get(read_number_format(safe[0]) if safe else "", torch.float32)


def list_lost(folder: Path) -> list[str]:
    """Lists the tensors that the index of weights in several files names, and the files lack."""
    read = find_weights(folder)
    held = {name for file in read for name in read_shapes(file)}
    stated = [read_json(file)["weight_map"] for file in folder.glob("*.index*.json")]
    used = [each for each in stated if {folder / file for file in each.values()} == {*read}]
    return [name for each in used for name in each if name not in held]


def list_beyond(network: Any, others: Iterable[str]) -> list[str]:
    """Lists tensors, of those without a place, of more layers than a network of diffusers has.

    Of text encoders the last layer is left out on purpose: OpenCLIP's, and where it is skipped.
    """
    if hasattr(network, "base_model_prefix"):  # one of transformers
        return []
    kinds = {re.sub(r"\d+", "#", name) for name in network.state_dict()}
    return [name for name in others if re.sub(r"\d+", "#", name) in kinds]


def complain(folder: Path, kind: str, told: dict[str, Any]) -> None:
    """Refuses what a library tells of the tensors that it misses, or finds to be of other shapes.

    Parameters
    ----------
    told : dict
        Names in "missing_keys", "unexpected_keys" and, of those, "beyond"; (name, shape in the
        file, shape in the network) in "mismatched_keys".
    """
    missing = told["missing_keys"]
    wrong = [
        f"{name} has the shape {tuple(found)}, not {tuple(wanted)}"
        for name, found, wanted in told.get("mismatched_keys", ())
    ]
    said = [
        f"{what} {list_first(sorted(names))}"
        for what, names in (
            ("it lacks", missing),
            ("in it", wrong),
            ("it has what the network does not,", told.get("unexpected_keys", ())),
        )
        if names
    ]
    if not missing and not wrong and not told.get("beyond"):
        return
    files = ", ".join(file.name for file in find_weights(folder))
    raise ValueError(
        f"{folder}: {files} does not fit {kind} as config.json describes it: {'; '.join(said)}."
        f" {ADVICE}"
    )


def list_first(names: list[str]) -> str:
    """Lists the first two names, and says how many more there are."""
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
