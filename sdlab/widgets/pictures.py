"""Pictures as a page or a notebook shows them: small WebP files made from those of the frame."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup
from PIL import Image

from ..pictures import SMALL_SIDE, data_uri, png_bytes, webp_bytes
from ..results.frame import format_value, hide_home, row_tuples
from ..store.png import read_thumbnail

THUMBNAIL = 256  # pixels on the longest side
STATIC = 96  # pixels, in the notebook's own picture
SEEN = ("objects_found", "objects_background", "signs_read", "lettering_read")


def make_thumbnail(path: str, px: int = THUMBNAIL, exact: bool = True) -> bytes:
    """Makes a WebP of the picture at that path, at most `px` pixels wide and high.

    The latest ones are kept in memory.

    Raises
    ------
    OSError
        There is no such file, or no picture in it; the message says why.
    """
    try:
        return _make_thumbnail(os.fspath(path), os.stat(path).st_mtime_ns, px, exact)
    except Exception as error:  # Pillow's are of many kinds, SyntaxError among them
        raise OSError(hide_home(error)) from error


@functools.lru_cache(8192)
def _make_thumbnail(path: str, changed: int, px: int, exact: bool) -> bytes:
    kept = read_thumbnail(path) if px <= SMALL_SIDE else None
    if kept and exact:
        return kept
    with Image.open(io.BytesIO(kept) if kept else path) as image:
        return webp_bytes(image.convert("RGB"), px, exact=exact)


def strip_recipe(image: Image.Image) -> bytes:
    """Makes a PNG of nothing but the pixels: a file of the store tells its recipe."""
    image = image.convert("RGB")
    image.info = {}
    return png_bytes(image)


def level_sizes(images: Sequence[Image.Image | None]) -> list[Image.Image | None]:
    """Brings both pictures to one longest side, that of the smaller one, by one filter."""
    known = [image for image in images if image is not None]
    longest = min((max(image.size) for image in known), default=0)
    return [image and shrink_to(image, longest) for image in images]


def shrink_to(image: Image.Image, longest: int) -> Image.Image:
    """Shrinks a picture to that longest side; one that has it is left as it is."""
    share = longest / max(image.size)
    width, height = (max(1, round(side * share)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def render_image(data: bytes, alt: str, px: int = STATIC) -> Markup:
    """Renders a WebP as an HTML picture that holds its own data, `px` pixels wide or less."""
    text = '<img alt="{}" style="max-width:{}px;max-height:{}px" src="{}">'
    return Markup(text).format(alt, px, px, data_uri(data))


def render_side(path: str, alt: str) -> str:
    """Renders a picture, or says why there is none."""
    try:
        return render_image(make_thumbnail(path, STATIC, exact=False), alt)
    except (OSError, ValueError) as error:
        return f"the picture cannot be read: {error}"


def render_level(paths: Sequence[str], alts: Sequence[str]) -> list[str]:
    """Renders pictures at one size, without a word of theirs: a size would tell whose they are."""
    images: list[Image.Image | None] = []
    for path in paths:
        try:
            with Image.open(path) as image:
                images.append(image.convert("RGB"))
        except (OSError, ValueError):
            images.append(None)
    return [
        render_image(webp_bytes(image, STATIC), alt) if image else "the picture cannot be read"
        for image, alt in zip(level_sizes(images), alts)
    ]


def describe_seen(frame: pd.DataFrame) -> list[str]:
    """Says of each row what scorers saw in the picture, for those who do not see it.

    Nothing that tells what made it, such as a mark, and no verdict on it.
    """
    names = [name for name in SEEN if name in frame.columns]
    return [
        ", ".join(f"{name} {value}" for name, value in zip(names, row) if value)
        for row in row_tuples(frame, names)
    ]


def write_captions(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Says in a line what these columns say of each row: "a cat · guidance_scale 4 · seed 0"."""
    say = functools.lru_cache(None, typed=True)(say_value)  # most values come again
    return [" · ".join(map(say, names, row)) for row in row_tuples(frame, names)]


def say_value(name: str, value: Any) -> str:
    """Says one value of a column: a prompt speaks for itself."""
    return format_value(value) if name == "prompt" else f"{name} {format_value(value)}"
