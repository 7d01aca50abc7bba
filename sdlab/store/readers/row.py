"""What one file says of its making, as a row of a frame."""

from __future__ import annotations

import os
from typing import Any

from .draft import Draft
from .own import NAME as OWN
from .programs import find_reader
from .texts import read_file_texts


def read_row(file: str) -> dict[str, Any]:
    """Reads what a file says; whatever goes wrong stands in the row."""
    try:
        texts = read_file_texts(file)
    except Exception as error:  # Pillow raises whatever its readers run into
        return make_error_row(file, error)
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
    row = {**draft.fields, "path": escape_path(file), "error": None}
    return row | {"source": draft.source or None, "not_translated": "; ".join(draft.left) or None}


def make_error_row(file: str, error: Exception | str) -> dict[str, Any]:
    """Makes the row of what is no picture."""
    from ...watermark.opening import shorten_error

    said = shorten_error(error) if isinstance(error, Exception) else error
    name = escape_path(file)
    told = said if said.startswith(name) else f"{name}: {said}"
    return {"path": None, "error": told, "source": None, "not_translated": None}


def escape_path(file: str) -> str:
    """Escapes bytes of a path that are no text, which pandas cannot hold."""
    return file.encode("utf-8", "backslashreplace").decode()
