"""The input pictures of a report, whole, so that its reader can make the pictures again; and pictures in HTML."""

from __future__ import annotations

from html import escape

import pandas as pd

from ..pictures import PICTURES, data_uri, png_bytes, read_picture
from ..store.inputs import InputFolder
from .code import store_root
from .frame import file_problem, values
from .sheet import UNREADABLE

MOST_BYTES, MOST_PICTURES = 4_000_000, 100  # of all whole pictures together; named in the section
THUMBNAIL = 256


def inputs_section(frame: pd.DataFrame) -> str:
    """Each input picture with its fields and its name; whole as long as there is room, then in small. "" if there are none."""
    fields: dict[str, list[str]] = {}
    for field in PICTURES:
        for name in dict.fromkeys(values(frame, field)):
            if name is not None:
                fields.setdefault(str(name), []).append(field)
    if root := store_root(frame):
        folder = InputFolder(root / "inputs")  # lends as long as it is there
        folder.lend(fields)
    room, parts = MOST_BYTES, []
    for name in list(fields)[:MOST_PICTURES]:
        part, taken = figure(name, " and ".join(fields[name]), room)
        room -= taken
        parts.append(part)
    more = (
        f'<p class="note">The first {MOST_PICTURES} of {len(fields):,}.</p>\n'
        if len(fields) > MOST_PICTURES
        else ""
    )
    return more + "".join(parts)


def figure(name: str, field: str, room: int) -> tuple[str, int]:
    """(one picture, the bytes that it takes if it is whole)"""
    try:
        image = read_picture(name)
    except (ValueError, *UNREADABLE) as problem:
        return f"<p>{field} <code>{escape(name)}</code>: {escape(lacking(problem))}.</p>\n", 0
    data, note, size = png_bytes(image), "", f"{image.width}x{image.height}"
    if whole := len(data) <= room:
        source = data_uri(data, "PNG")
    else:
        note = ", in small here, as it is too large to be included whole"
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        source = data_uri(image, "WEBP", quality=80)
    return (
        (
            f'<figure><img src="{source}" width="{image.width}" height="{image.height}"'
            f' alt="{field} {name:.8}…"><figcaption>{field} <code>{escape(name)}</code>, {size}'
            f" pixels{note}</figcaption></figure>\n"
        ),
        len(data) if whole else 0,
    )


def lacking(problem: Exception) -> str:
    """Why there is no picture, without the folders of whoever wrote the report."""
    return (
        file_problem(problem)
        if isinstance(problem, OSError)
        else "not at hand when the report was written"
    )
