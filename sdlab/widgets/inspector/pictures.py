"""The pictures of an inspector, what is known of each, and what a page shows of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from ...pictures import encode_picture, has_transparency, webp_bytes
from ...recipe.request import FIELDS
from ...results.frame import (
    column_values,
    find_varying,
    format_value,
    require_paths,
    row_tuples,
    to_plain,
)
from ...results.pairs import draw_difference
from ...watermark.answer import TITLES, Answer
from ...watermark.dwtdct import embed_watermark
from ...watermark.folders import list_files
from ...watermark.inspection import Inspection, shorten_name
from ...watermark.maps import draw_evidence, draw_residues, list_colours
from ...watermark.opening import open_picture, read_pixels
from ...watermark.payloads import Payload
from ...watermark.places import AS_IS
from ..pictures import write_captions

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 1000  # pictures in one inspector
THUMBNAIL = 64  # pixels
LARGEST = 1024  # pixels on a side of what the page shows; larger ones are made smaller
GAIN = 20.0  # a mark changes colours by a few of 255: this makes it visible
MARKED, NOT_FOUND, SMALL, UNREADABLE, WAITING, AT_WORK, UNTESTED = "+-sx.~?"
VERDICTS = {  # letter: (glyph, words)
    MARKED: ("●", "marked"),
    NOT_FOUND: ("○", "no mark found"),
    SMALL: ("◇", "too small"),
    UNREADABLE: ("✕", "cannot be read"),
    WAITING: ("…", "waiting"),
    AT_WORK: ("▸", "being tested"),
    UNTESTED: ("–", "not tested"),
}
EXPLAINED = {
    "residue": "What the official decoder meets in each block of 8x8 pixels, for {0}",
    "evidence": "What the detector weighs, about 90 pixels together, for {0}",
}
NOTHING = ". There is nothing to see: {0} was not found, and a picture without it looks like this"
CLEAR = "Some of it is transparent; that is shown here on white, and tested in its stored colours."


@dataclass(eq=False)
class Picture:
    """One picture and what is known of it.

    Attributes
    ----------
    name : str
        What people call it.
    source : path as text, PIL image or uint8 array, or None
        Where the pixels are; None for a row of a frame that has no picture.
    twin : str, optional
        The path of the same picture without a mark.
    inspection : Inspection, optional
    error : str, optional
        Why there is no inspection.
    wanted : str, optional
        The search that is still to be done.
    is_clear : bool, optional
        Whether some of it is transparent, once that was looked at.
    beside : str
        What was seen when it was set beside another one, as a sentence; "" if it was not.
    repeated : bool
        Whether its own recipe gave the very same pixels here.
    noted : (Inspection, str), optional
        What the file says in short, and by which inspection.
    thumbnails : dict
        {pixels: WebP}, those that were made.
    """

    name: str
    source: Any
    twin: str | None = None
    inspection: Inspection | None = None
    error: str | None = None
    wanted: str | None = None
    is_clear: bool | None = None
    beside: str = ""
    repeated: bool = False
    noted: tuple[Inspection, str] | None = None
    thumbnails: dict[int, bytes] = field(default_factory=dict)

    def measure(self) -> float:
        """Measures how many megapixels it has, from its head; 0 if that cannot be read."""
        if isinstance(self.source, np.ndarray):
            return float(np.prod(self.source.shape[:2])) / 1e6
        try:
            with open_picture(self.source) as image:
                return image.width * image.height / 1e6
        except (OSError, ValueError, TypeError):
            return 0.0

    @property
    def path(self) -> str | None:
        return self.source if isinstance(self.source, str) else None

    @property
    def answer(self) -> Answer | None:
        """Where it comes from, by its inspection and by what it was compared with."""
        if self.inspection is None:
            return None
        answer = self.inspection.answer
        return answer.confirm_note() if self.repeated else answer

    @property
    def verdict(self) -> str:
        """A letter of `VERDICTS`."""
        if self.wanted is not None:
            return WAITING
        if self.error is not None:
            return UNREADABLE
        if self.inspection is None:
            return UNTESTED
        if self.inspection.unread:
            return UNREADABLE
        if self.inspection.detected:
            return MARKED
        few = self.inspection.small or self.inspection.best is None
        return SMALL if few else NOT_FOUND  # where so few pixels hold no mark, a miss says nothing


# Where they come from


def list_pictures(images: Any) -> list[Picture]:
    """Lists the pictures of a frame, a path, a folder, or a list of paths, images and arrays.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        For anything else, for more than `MOST`, and for a frame without paths.
    """
    if images is None:
        return []
    if isinstance(images, pd.DataFrame):
        found = list_rows(images)
    elif isinstance(images, (str, os.PathLike)):
        found = [Picture(os.path.basename(path), path) for path in map(str, list_files(images))]
    elif isinstance(images, (np.ndarray, Image.Image)):
        found = [take_picture(images, 1)]
    elif isinstance(images, Iterable) and not isinstance(images, (bytes, bytearray)):
        found = [take_picture(image, n) for n, image in enumerate(images, 1)]
    else:
        raise TypeError(
            f"images={images!r:.80} is no picture; give a frame with a column 'path', a path, a PIL"
            " image, a uint8 array, or a list of these"
        )
    require_room(len(found))
    return found


def require_room(count: int) -> None:
    """Refuses more pictures than an inspector shows."""
    if count > MOST:
        raise ValueError(
            f"{count:,} pictures are too many to look at, at most {MOST:,} are shown; give a part"
            " of them, such as frame.head(1000), and read the rest with sdlab.watermark.scan"
        )


def take_picture(image: Any, number: int) -> Picture:
    """Takes what was given as one picture, by its number in the list."""
    if isinstance(image, (str, os.PathLike)):
        path = str(os.fspath(image))
        return Picture(os.path.basename(path), path)
    if isinstance(image, (Image.Image, np.ndarray)):
        return Picture(
            os.path.basename(str(getattr(image, "filename", ""))) or f"picture {number}", image
        )
    raise TypeError(f"images has {image!r:.80} in it, which is no path, no PIL image and no array")


def list_rows(frame: pd.DataFrame) -> list[Picture]:
    """Lists one picture a row, under what sets the rows apart."""
    require_paths(frame)
    paths, errors = column_values(frame, "path"), column_values(frame, "error")
    names = write_captions(frame, find_varying(frame) if "key" in frame.columns else [])
    return [
        Picture(
            name or os.path.basename(path or "no file"),
            path,
            twin,
            error=None
            if path
            else f"there is no picture: {format_value(error or 'it was not rendered')}",
        )
        for name, path, twin, error in zip(names, paths, find_twins(frame), errors)
    ]


def find_twins(frame: pd.DataFrame) -> list[str | None]:
    """Finds for each marked row the path of the row that differs in nothing but the mark."""
    paths, marks = column_values(frame, "path"), column_values(frame, "watermark")
    others = row_tuples(frame, [name for name in FIELDS if name != "watermark"])
    bare = {
        other: path
        for other, mark, path in zip(others, marks, paths)
        if mark is None and path is not None
    }
    return [
        bare.get(other) if mark is not None and "prompt" in frame.columns else None
        for other, mark in zip(others, marks)
    ]


# What a page shows of them


def shrink_picture(picture: Picture, px: int = THUMBNAIL) -> bytes:
    """Makes a WebP of at most that size, opened as safely as for the test, and keeps it."""
    if px not in picture.thumbnails:
        picture.thumbnails[px] = webp_bytes(read_seen(picture), px)
    return picture.thumbnails[px]


def read_seen(picture: Picture) -> Image.Image:
    """Reads a picture as it is seen on a white page; what is tested are its stored colours."""
    image = Image.fromarray(read_pixels(picture.source))
    alpha = read_alpha(picture.source)
    picture.is_clear = alpha is not None and bool(np.asarray(alpha).min() < 255)
    if alpha is None or alpha.size != image.size:  # a TIFF that is turned as it is opened
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)


def read_alpha(source: Any) -> Image.Image | None:
    """Reads how opaque a picture is, pixel by pixel; None if it cannot be transparent."""
    if isinstance(source, np.ndarray):
        clear = source.ndim == 3 and source.shape[2] == 4
        return Image.fromarray(source[:, :, 3]) if clear else None
    with open_picture(source) as image:
        return image.convert("RGBA").getchannel("A") if has_transparency(image) else None


def describe_ground(picture: Picture) -> str:
    """Says that a picture is transparent in part, and how it is shown; "" if it is not."""
    if picture.is_clear is None:
        picture.is_clear = False
        with suppress(OSError, ValueError, TypeError):  # its verdict says what is wrong
            if picture.source is not None and (alpha := read_alpha(picture.source)) is not None:
                picture.is_clear = bool(np.asarray(alpha).min() < 255)
    return CLEAR * picture.is_clear


def send_thumbnails(
    pictures: Sequence[Picture], cells: Sequence[int], px: int
) -> tuple[dict[str, Any], list[bytes]]:
    """Makes the message that shows these cells, and a buffer for each that can be read."""
    shown, buffers = [], []
    for i in cells:
        try:
            if pictures[i].source is not None:
                buffers.append(shrink_picture(pictures[i], px))
                shown.append(i)
        except (OSError, ValueError, TypeError):  # its verdict says why
            pass
    return {"kind": "thumbnails", "cells": list(cells), "shown": shown}, buffers


def draw_view(picture: Picture, what: str, payload: Payload) -> tuple[dict[str, Any], list[bytes]]:
    """Draws the picture's "own" pixels, a "residue" or "evidence" map, or the "difference".

    Returns the message, and its buffer.
    """
    draw = {"own": draw_own, "residue": draw_map, "evidence": draw_map, "difference": draw_change}[
        what
    ]
    try:
        image, caption, colours = draw(picture, what, payload)
    except (OSError, ValueError, TypeError) as error:
        return {"kind": "view", "error": f"{error}".removeprefix(f"{picture.path}: ")}, []
    data = webp_bytes(image, LARGEST) if what == "own" else encode_lossless(image)
    return {"kind": "view", "caption": caption, "legend": colours}, [data]


Drawn = tuple[Image.Image, str, list[tuple[str, str]]]  # a picture, its caption, its colours


def draw_own(picture: Picture, what: str, payload: Payload) -> Drawn:
    """Draws the picture itself."""
    image = read_seen(picture)
    return image, f"The picture, {image.width}x{image.height}", []


def draw_map(picture: Picture, what: str, payload: Payload) -> Drawn:
    """Draws where the mark shows."""
    found = picture.inspection.findings if picture.inspection is not None else ()
    place = next(
        (finding.geometry for finding in found if finding.payload.name == payload.name), AS_IS
    )
    image = (
        draw_residues(picture.source, payload)
        if what == "residue"
        else draw_evidence(picture.source, payload, place)
    )
    caption = EXPLAINED[what].format(shorten_name(payload.name))
    missed = any(finding.payload.name == payload.name and not finding.detected for finding in found)
    return image, caption + NOTHING.format(shorten_name(payload.name)) * missed, list_colours(what)


def draw_change(picture: Picture, what: str, payload: Payload) -> Drawn:
    """Draws what the mark has changed, or would."""
    image, colours = Image.fromarray(read_pixels(picture.source)), [("#808080", "grey: no change")]
    if picture.twin:
        twin = Image.fromarray(read_pixels(picture.twin))
        caption = f"What differs from the same picture without a mark, {GAIN:g} times as strong"
        return draw_difference(twin, image, gain=GAIN), caption, colours
    again = " again" if picture.inspection else ""  # true if a mark is detected
    return (
        draw_difference(image, embed_watermark(image, payload), gain=GAIN),
        (
            f"No unmarked twin is known. What writing {shorten_name(payload.name)} into this"
            f" picture{again} would change, {GAIN:g} times as strong"
        ),
        colours,
    )


def encode_lossless(image: Image.Image) -> bytes:
    """Encodes a WebP of the very pixels, averaged to fewer if they are more than the page shows."""
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    return encode_picture(image, "WEBP", lossless=True, quality=30, method=2)


# All that is known, as a frame


def make_frame(pictures: Sequence[Picture], own_frame: pd.DataFrame | None) -> pd.DataFrame:
    """Makes one row a picture: the frame's own columns, or the path, then what was found."""
    rows = [list_findings(picture) for picture in pictures]
    found = pd.DataFrame(
        {name: pd.array([row[name] for row in rows], dtype=kind) for name, kind in COLUMNS.items()}
    )
    if own_frame is None:
        return list_paths(pictures).join(found)
    base = own_frame
    if added := pictures[len(base) :]:
        base = pd.concat([base, list_paths(added)], ignore_index=True)
    found["error"] = [
        to_plain(own) or new for own, new in zip(column_values(base, "error"), found["error"])
    ]
    base = base.drop(columns=[name for name in found if name in base.columns])
    return base.join(found.astype(COLUMNS).set_axis(base.index))


def list_paths(pictures: Sequence[Picture]) -> pd.DataFrame:
    """Lists where the pictures are, as a frame of that column alone."""
    return pd.DataFrame({"path": pd.array([picture.path for picture in pictures], "string")})


def join_rows(
    pictures: Sequence[Picture], own_frame: pd.DataFrame | None, rows: pd.DataFrame
) -> pd.DataFrame:
    """Joins the rows of further pictures to those of the pictures there are, in their order."""
    if not pictures:
        return rows
    before = own_frame if own_frame is not None else list_paths(pictures)
    lacking = list_paths(pictures[len(before) :])
    return pd.concat([before, lacking, rows], ignore_index=True)


COLUMNS: dict[str, Any] = {
    "payload": "string",
    "detected": "boolean",
    "log10_p": "Float64",
    "geometry": "string",
    "official": "string",
    "words": "string",
    **dict.fromkeys(TITLES, "string"),
    "error": "string",
}


def list_findings(picture: Picture) -> dict[str, Any]:
    """Lists what was found in a picture, by the columns of the frame."""
    inspection, row = picture.inspection, dict.fromkeys(COLUMNS) | {"error": picture.error}
    if inspection is None or (answer := picture.answer) is None:
        return row
    row |= answer.columns | {"words": f"{answer.known}\n{answer.unknown}"}
    if (best := inspection.best) is None:
        return row | ({"error": inspection.unread} if inspection.unread else {})
    exact = [finding.payload.name for finding in inspection.findings if finding.official]
    return row | {
        "payload": best.payload.name if best.detected else None,
        "detected": inspection.detected,
        "log10_p": float(best.log10_p),
        "geometry": str(best.geometry) if best.detected else None,
        "official": ", ".join(exact) or None,
    }
