"""What tells a store's folder from others."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

from ..errors import caller_level, suggest
from .opinions import FILE


def require_layout(root: Path, images: Path) -> None:
    """Refuses a root that is a file, another program's folder, or the inside of a store."""
    for folder in (root, images):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(
                f"{folder} is a file; a store is a folder, such as Store('runs/hamster')"
            )
    names = [name for name in os.listdir(images) if name[0] != "."] if images.is_dir() else []
    if names and not any(re.fullmatch("[0-9a-f]{2}", name) for name in names):
        raise ValueError(
            f"{images} holds {names[0]!r}, so {root} is no store; give a store's folder, or a"
            " new one"
        )
    if root.name == "images" and (root.parent / "index.sqlite").exists():
        raise ValueError(
            f"{root} is the inside of a store; did you mean Store({str(root.parent)!r})?"
        )


def warn_of_none(root: Path, what: str) -> None:
    """Warns who asks a folder for opinions that is no store, and names one that may be meant.

    Only a line outside of sdlab: widgets ask stores that are yet to be made.
    """
    if (level := caller_level()) > 3 or (root / "images").is_dir() or (root / FILE).exists():
        return
    stores = [path.parent.name for path in root.parent.glob("*/images")]
    kind = "is no store" if root.is_dir() else "does not exist"
    hint = suggest(root.name, stores).removesuffix(";")
    warnings.warn(f"{root} {kind}, so there are no {what}{hint}", stacklevel=level)
