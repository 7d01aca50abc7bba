"""Finds published weights on this machine: looks at the disk only, nothing is downloaded."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

VARIABLE = "SDLAB_MODELS"
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth")  # of checkpoints in a single file
ENCODERS = ("text_encoder", "text_encoder_2")  # SDXL has both, its refiner the second alone
PARTS = ("unet", "vae", "text_encoder")
EXTRAS = ("safety_checker", "depth_estimator")
NO_NETWORK = re.compile("Tokenizer|Processor|Extractor|Scheduler")  # in the name of a part's class
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")  # of diffusers, of transformers
VAE_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
VARIANTS = ("", ".fp16", ".bf16")  # of half precision, taken where nothing else is there
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")  # on the hub
POINTER = 1000  # bytes; weights are larger, a pointer of git-lfs is not


def locate_model(name: str, hubs: tuple[str, ...], file: str = "") -> Path | None:
    """Finds the folder or file of a checkpoint, in the user's own folder or the hub's cache.

    Parameters
    ----------
    name : str
        The row's name.
    hubs : tuple of str
        Repositories, "owner/name", that have it or had it.
    file : str
        What its single file is called, if there is one; without it only folders in diffusers'
        layout count.
    """
    return search(name, hubs, file, "model_index.json", is_model)


def locate_vae(name: str, hubs: tuple[str, ...], file: str) -> Path | None:
    """Finds the folder or file of a published VAE; the arguments are those of `locate_model`."""
    return search(name, hubs, file, "config.json", is_vae)


def list_encoders(index: Mapping[str, Any]) -> list[str]:
    """Lists the text encoders that a model_index.json names."""
    return [name for name in ENCODERS if (index.get(name) or [None])[0]] or [ENCODERS[0]]


def name_tokenizer(encoder: str) -> str:
    """Names the folder of the tokenizer that goes with a text encoder."""
    return encoder.replace("text_encoder", "tokenizer")


def list_networks(folder: Path) -> list[str]:
    """Lists the parts with weights of which a folder's model_index.json says that they are there.

    A safety checker and a depth estimator are left out: they are asked for where a model is read.
    """
    index: dict[str, Any] = {}
    with suppress(OSError, ValueError):  # reading the model says what is wrong
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    named = {part: each[1] for part, each in index.items() if isinstance(each, list)}
    found = [
        part
        for part, kind in named.items()
        if kind and part not in EXTRAS and not NO_NETWORK.search(kind)
    ]
    return found or [*PARTS]


def search(
    name: str, hubs: tuple[str, ...], file: str, mark: str, is_whole: Callable[[Path], bool]
) -> Path | None:
    """Looks below `SDLAB_MODELS`, then in the cache of huggingface_hub.

    There `hf download` puts things; `mark` is the file by which a folder of it is found.
    """
    stem, own = Path(file).stem, list_folders(name, hubs)
    files = [f"{stem}{suffix}" for suffix in SUFFIXES] if file else []
    beside = [
        Path(f"{place}{Path(each).suffix}")
        for folder in own
        for each in files
        for place in (folder, folder / stem, folder.parent / stem)
    ]
    found = [*filter(is_whole, own), *filter(is_weighty, beside)]
    for snapshot in [each for hub in hubs for each in list_snapshots(find_repository(hub))]:
        found += [snapshot] if (snapshot / mark).is_file() and is_whole(snapshot) else []
        found += filter(is_weighty, (snapshot / each for each in files))
    return next(iter(found), None)


def find_repository(hub: str) -> Path:
    """Finds the folder that huggingface_hub's cache has, or would have, for "owner/name"."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{hub.replace('/', '--')}"


def list_snapshots(repository: Path) -> list[Path]:
    """Lists what the hub's cache has of a repository.

    First is what the branch main was, then other branches and tags by name, and then commits that
    none of them names any more, the newest download first.
    """
    named = list_revisions(repository)
    places = [*(repository / "snapshots").glob("*")]
    others = sorted(places, key=lambda place: place.stat().st_mtime, reverse=True)
    first = [repository / "snapshots" / commit for commit in named.values()]
    return list(dict.fromkeys(place for place in (*first, *others) if place.is_dir()))


def list_revisions(repository: Path) -> dict[str, str]:
    """Lists {branch or tag: commit} of a repository in the hub's cache, main first."""
    refs = repository / "refs"
    named = {
        file.relative_to(refs).as_posix(): file.read_text(encoding="utf-8").strip()
        for file in refs.rglob("*")
        if file.is_file()
    }
    return dict(sorted(named.items(), key=lambda each: (each[0] != "main", each[0])))


def open_repository(place: Path, is_whole: Callable[[Path], bool]) -> Path:
    """Gives the snapshot to take, where the place is a repository's folder in the hub's cache."""
    return next(filter(is_whole, list_snapshots(place)), place)


def tell_revision(place: Path) -> tuple[str, str, str] | None:
    """Tells repository, revision and commit of what lies in the hub's cache; None elsewhere.

    Where no branch or tag names the commit, it is the revision itself.
    """
    for folder in (place, *place.parents):
        repository = folder.parent.parent
        if folder.parent.name == "snapshots" and repository.name.startswith("models--"):
            hub = repository.name.removeprefix("models--").replace("--", "/")
            named = list_revisions(repository).items()
            return hub, next((n for n, c in named if c == folder.name), folder.name), folder.name
    return None


def describe_origin(place: Path) -> str:
    """Describes revision and variant of a model's or VAE's folder or file, as far as known."""
    parts = [place, *(place / part for part in list_networks(place))] if place.is_dir() else []
    variants = sorted({variant for part in parts if (variant := tell_variant(part))})
    said = [f"variant {', '.join(variants)}"] if variants else []
    if found := tell_revision(place):
        said.insert(0, f"{found[0]} at {found[1]} (commit {found[2][:12]})")
    return ", ".join(said)


def list_folders(name: str, hubs: tuple[str, ...]) -> list[Path]:
    """Lists the folders to look into: those called like the row, or like a repository of it."""
    top = os.environ.get(VARIABLE)
    names = dict.fromkeys([name, *(hub.split("/")[1] for hub in hubs), *hubs])
    return [Path(top).expanduser() / each for each in names] if top else []


def describe_unfinished(name: str, hubs: tuple[str, ...]) -> str:
    """Says what a folder that is there lacks, as a sentence; "" if there is no such folder."""
    snapshots = [each for hub in hubs for each in list_snapshots(find_repository(hub))]
    for folder in [*list_folders(name, hubs), *snapshots]:
        parts = [part for part in list_networks(folder) if not has_weights(folder / part)]
        if (folder / "model_index.json").is_file() and parts:
            return (
                f"{folder} is there, but has no weights in {', '.join(parts)} (a .safetensors or"
                " .bin file of the name that diffusers gives it). "
            )
    return ""


def is_weighty(path: Path) -> bool:
    """Tells whether that is a file, and not the small pointer that git leaves of a large one."""
    return path.is_file() and path.stat().st_size > POINTER


def is_model(folder: Path) -> bool:
    """Tells whether a folder has an index and all weights, as an interrupted download has not."""
    parts = [folder / part for part in list_networks(folder)]
    return (folder / "model_index.json").is_file() and all(map(has_weights, parts))


def is_vae(folder: Path) -> bool:
    """Tells whether a folder has a VAE's configuration and weights."""
    return (folder / "config.json").is_file() and has_weights(folder)


def find_weights(folder: Path) -> list[Path]:
    """Lists the files that are read of a part's folder, and no others that lie there.

    They are .safetensors, or else .bin, in one file or several; a variant of half precision only
    where nothing else is there.
    """
    for variant in VARIANTS:
        for suffix in (".safetensors", ".bin"):
            for stem in STEMS:
                whole = folder / f"{stem}{variant}{suffix}"
                index = folder / f"{stem}{suffix}.index{variant}.json"
                if index.is_file():
                    names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
                    return [folder / name for name in sorted(set(names))]
                if whole.is_file():
                    return [whole]
    return []


def tell_variant(folder: Path) -> str | None:
    """Tells the variant that is read of a part's folder, such as "fp16"; None if it is none."""
    first = next(iter(find_weights(folder)), Path())
    return next((each[1:] for each in VARIANTS[1:] if f"{each}." in first.name), None)


def has_weights(folder: Path) -> bool:
    """Tells whether a part's folder holds all its weights."""
    found = find_weights(folder)
    return bool(found) and all(map(is_weighty, found))
