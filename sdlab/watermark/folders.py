"""Which files a path, a folder, a pattern or a list names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

SUFFIXES = (
    ".png",
    ".apng",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".webp",
    ".avif",
    ".avifs",
    ".tif",
    ".tiff",
    ".gif",
    ".bmp",
    ".dib",
    ".jp2",
    ".j2k",
    ".jpx",
    ".pnm",
    ".ppm",
    ".pgm",
    ".pbm",
    ".tga",
    ".ico",
    ".pcx",
    ".sgi",
    ".qoi",
    ".heic",
    ".heif",
    ".hif",
    ".jxl",
    ".svg",
)


def list_files(paths: Any, passed_over: dict[str, str] | None = None) -> Sequence[str | None]:
    """List the files that `paths` names, those of a folder in the order of their names.

    What a folder holds beside is put into `passed_over`, with the reason.
    """
    if isinstance(paths, (str, os.PathLike)):
        name = os.fspath(os.path.expanduser(paths))
        if os.path.isdir(name):
            return list(walk_pictures(Path(name), {} if passed_over is None else passed_over))
        if os.path.exists(name):
            return [name]
        matching = glob.iglob(name, recursive=True) if glob.has_magic(name) else ()
        if found := sorted(file for file in matching if not os.path.isdir(file)):
            return found
        raise FileNotFoundError(
            f"{name}: there is no such folder or file; name a folder, a pattern such as"
            " 'pictures/**/*.png', or a list of files"
        )
    if isinstance(paths, bytes) or not isinstance(paths, Iterable):
        raise TypeError(
            f"paths={paths!r:.80} is no path and no list of paths; detect_watermark() takes a"
            " single picture, and any other reader its file: save it first"
        )
    files = list(paths)
    for file in files:
        if not isinstance(file, (str, os.PathLike)) and not is_missing(file):
            raise TypeError(
                f"paths has {file!r:.80} in it, which is no path; detect_watermark() takes a"
                " picture itself, and any other reader its file: save it first"
            )
    return [None if is_missing(file) else os.fspath(file) for file in files]


def is_missing(value: Any) -> bool:
    """Tell None, NaN and pandas' NA, which stand in a frame's `path` where a picture failed."""
    return (
        value is None
        or type(value).__name__ == "NAType"
        or (isinstance(value, float) and value != value)
    )


def walk_pictures(folder: Path, passed_over: dict[str, str]) -> Iterator[str]:
    """List the pictures in a folder and below, not hidden ones, nor behind links to folders."""
    for place, folders, names in os.walk(folder):
        for name in sorted(folders):
            path = os.path.join(place, name)
            if name.startswith(".") or os.path.islink(path):
                passed_over[path] = "hidden" if name.startswith(".") else "a link to a folder"
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        begin = os.path.join(place, "")
        for name in sorted(names):
            path, suffix = begin + name, os.path.splitext(name)[1].lower()
            if name.startswith("."):
                passed_over[path] = "hidden"
            elif suffix in SUFFIXES:
                yield path
            else:
                passed_over[path] = f"no picture by its name, {suffix or 'without a suffix'}"
