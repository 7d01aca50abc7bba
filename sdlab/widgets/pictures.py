"""Pictures as a page or a notebook shows them: small WebP files made from those of the frame."""

from __future__ import annotations

import base64
import functools
import io
import os
from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup
from PIL import Image

from ..results.frame import hide_home, text_of, tuples
from ..store.png import SMALL, read_thumbnail

THUMBNAIL = 256  # pixels on the longest side
PIXEL_ART = SMALL  # pixels; pictures up to this size are kept exactly, and enlarged unblurred
STATIC = 96  # pixels, in the notebook's own picture


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
    kept = read_thumbnail(path) if px <= SMALL else None
    if kept and exact:
        return kept
    with Image.open(io.BytesIO(kept) if kept else path) as image:
        return encode_webp(image.convert("RGB"), px, exact)


def encode_webp(image: Image.Image, px: int = THUMBNAIL, exact: bool = True) -> bytes:
    """Encodes an RGB picture as WebP, made smaller if it is larger than `px` pixels.

    If `exact`, small pictures keep every pixel.
    """
    exact = exact and max(image.size) <= min(px, PIXEL_ART)
    if max(image.size) > px:
        image = image.copy()
        image.thumbnail((px, px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=exact, quality=50 if exact else 85, method=2)
    return file.getvalue()


def render_image(data: bytes, alt: str, px: int = STATIC) -> Markup:
    """Renders a WebP as an HTML picture that holds its own data, `px` pixels wide or less."""
    text = '<img alt="{}" style="max-width:{}px;max-height:{}px" src="data:image/webp;base64,{}">'
    return Markup(text).format(alt, px, px, base64.b64encode(data).decode())


def write_captions(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Says in a line what these columns say of each row: "a cat · guidance_scale 4 · seed 0"."""
    return [
        " · ".join(
            text_of(value) if name == "prompt" else f"{name} {text_of(value)}"
            for name, value in zip(names, row)
        )
        for row in tuples(frame, names)
    ]
