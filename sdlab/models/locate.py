"""Where a named checkpoint may lie on this machine. Looks at the disk only; nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "SDLAB_MODELS"
SUFFIXES = (".safetensors", ".ckpt")
PARTS = ("unet", "vae", "text_encoder")
POINTER = 1000  # bytes; weights are larger, a pointer of git-lfs is not


def locate(name: str, hubs: tuple[str, ...], file: str = "") -> Path | None:
    """The folder or file of a checkpoint, or None.

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
    return in_own_folder(name, hubs, file) or in_cache(hubs, file)


def in_own_folder(name: str, hubs: tuple[str, ...], file: str = "") -> Path | None:
    """Below the folder that the environment variable SDLAB_MODELS names."""
    folders, stem = own_folders(name, hubs), Path(file).stem
    files = (
        [
            f"{place}{suffix}"
            for folder in folders
            for suffix in SUFFIXES
            for place in (folder, folder / stem, folder.parent / stem)
        ]
        if file
        else []
    )
    return next(iter([*filter(whole, folders), *filter(weighty, map(Path, files))]), None)


def own_folders(name: str, hubs: tuple[str, ...]) -> list[Path]:
    """The folders that would be looked into: those called like the row, or like one of its repositories."""
    top = os.environ.get(VARIABLE)
    names = dict.fromkeys([name, *(hub.split("/")[1] for hub in hubs), *hubs])
    return [Path(top).expanduser() / each for each in names] if top else []


def unfinished(name: str, hubs: tuple[str, ...]) -> str:
    """What is wrong with a folder that is there and not whole, as a sentence; "" if there is none."""
    for folder in own_folders(name, hubs):
        if (folder / "model_index.json").is_file() and (
            parts := [part for part in PARTS if lacking(folder, part)]
        ):
            return (
                f"{folder} is there, but has no weights in {', '.join(parts)} (a .safetensors or"
                " .bin file without a variant, such as .fp16, in its name). "
            )
    return ""


def in_cache(hubs: tuple[str, ...], file: str = "") -> Path | None:
    """In the cache of huggingface_hub, where `hf download` puts things."""
    from huggingface_hub import try_to_load_from_cache

    for hub in hubs:
        index = try_to_load_from_cache(hub, "model_index.json")
        if isinstance(index, str) and whole(Path(index).parent):
            return Path(index).parent
        for name in [f"{Path(file).stem}{suffix}" for suffix in SUFFIXES] if file else []:
            found = try_to_load_from_cache(hub, name)
            if isinstance(found, str) and weighty(Path(found)):
                return Path(found)
    return None


def weighty(path: Path) -> bool:
    """Whether that is a file, and not the small pointer that git leaves in place of a large one."""
    return path.is_file() and path.stat().st_size > POINTER


def whole(folder: Path) -> bool:
    """Whether the folder has an index and weights for every part, as an interrupted download has not."""
    return (folder / "model_index.json").is_file() and not any(
        lacking(folder, part) for part in PARTS
    )


def lacking(folder: Path, part: str) -> bool:
    """Whether a part's folder holds no weights without a variant, such as .fp16, in their names."""
    weights = [
        f
        for f in (folder / part).glob("*")
        if f.suffix in (".safetensors", ".bin") and f.name.count(".") == 1
    ]
    return not any(map(weighty, weights))
