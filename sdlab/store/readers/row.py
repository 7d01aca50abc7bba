"""What one file says of its making, as a row of a frame."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .draft import Draft
from .own import NAME as OWN
from .programs import find_reader
from .texts import Texts, read_file_texts, read_image_texts

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


def read_row(file: str, name: str = "") -> dict[str, Any]:
    """Reads what a file says, which may have another name; what goes wrong stands in the row."""
    return make_row(read_texts(file), name or file)


def read_files(files: Sequence[str]) -> list[dict[str, Any]]:
    """Reads a row for each of some files: opens all, then reads those of one program together.

    By turns that takes a third longer: each step finds the processor's caches full of another's.
    """
    found = list(map(read_texts, files))
    order = sorted(range(len(files)), key=lambda n: list_names(found[n]))
    rows = {n: make_row(found[n], files[n]) for n in order}
    return [rows[n] for n in range(len(files))]


def list_names(texts: Texts | Exception) -> list[str]:
    """Lists the names of a file's texts, which are alike in files of one program."""
    return [] if isinstance(texts, Exception) else list(texts.named)


def read_texts(file: str) -> Texts | Exception:
    """Reads the texts in a file, or says why there are none."""
    try:
        return read_file_texts(file)
    except Exception as error:  # Pillow raises whatever its readers run into
        return error


def read_bytes(data: bytes, name: str) -> dict[str, Any]:
    """Reads what a file says that was sent, as `read_row` does; it has no path."""
    suffix = re.sub(r"[^.\w]", "", os.path.splitext(name)[1])[:8]
    with tempfile.TemporaryDirectory() as folder:  # some formats are read from files alone
        file = os.path.join(folder, f"picture{suffix}")
        with open(file, "wb") as place:
            place.write(data)
        row = read_row(file, name)
    return row | {"path": None, "error": row["error"] and row["error"].replace(file, name)}


def read_image(picture: Image.Image | np.ndarray) -> dict[str, Any]:
    """Reads what a picture in memory says: its file's texts, or its lowest bits; it has no path."""
    from PIL import Image

    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    return make_row(read_image_texts(image), "") | {"path": None}


def make_row(texts: Texts | Exception, file: str) -> dict[str, Any]:
    """Makes a row of a file's texts; that they cannot be read stands in it."""
    if isinstance(texts, Exception):
        return make_error_row(file, texts)
    draft = Draft()
    for gap in texts.gaps:
        draft.leave(gap)
    try:
        reader = find_reader(texts)
        if reader:
            reader.read({**texts.named, "file": os.path.basename(file)}, draft)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, IndexError) as error:
        draft.leave("its text cannot be read", str(error) or type(error).__name__)
    if draft.source != OWN:
        draft.finish(texts.width, texts.height)
    row = draft.fields
    row["path"], row["error"] = escape_path(file), None
    row["source"], row["not_translated"] = draft.source or None, "; ".join(draft.left) or None
    return row


def make_error_row(file: str, error: Exception | str) -> dict[str, Any]:
    """Makes the row of what is no picture."""
    from ...watermark.opening import shorten_error

    said = shorten_error(error) if isinstance(error, Exception) else error
    name = escape_path(file)
    told = said if said.startswith(name) else f"{name}: {said}"
    return {"path": None, "error": told, "source": None, "not_translated": None}


def escape_path(file: str) -> str:
    """Escapes bytes of a path that are no text, which pandas cannot hold."""
    return file if file.isascii() else file.encode("utf-8", "backslashreplace").decode()
