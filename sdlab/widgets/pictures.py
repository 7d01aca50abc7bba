"""Pictures as a page or a notebook shows them: small WebP files made from those of the frame."""

from __future__ import annotations

import base64
import functools
import io
import os
from html import escape

from PIL import Image

from ..results.frame import hide_home
from ..store.png import SMALL, read_thumbnail

THUMBNAIL = 256  # pixels on the longest side
PIXEL_ART = (
    SMALL  # pixels; pictures up to this size are kept exactly, and enlarged without blurring
)
STATIC = 96  # pixels, in the notebook's own picture


def make_thumbnail(path: str, px: int = THUMBNAIL, exact: bool = True) -> bytes:
    """A WebP of the picture at that path, at most `px` pixels wide and high; the latest ones are kept in memory.

    Raises OSError, which says why, if there is no such file or no picture in it.
    """
    try:
        return _make_thumbnail(os.fspath(path), os.stat(path).st_mtime_ns, px, exact)
    except Exception as error:  # Pillow has many names for a broken file, among them SyntaxError and DecompressionBombError
        raise OSError(hide_home(error)) from error


@functools.lru_cache(8192)
def _make_thumbnail(path: str, changed: int, px: int, exact: bool) -> bytes:
    kept = read_thumbnail(path) if px <= SMALL else None
    if kept and exact:
        return kept
    with Image.open(io.BytesIO(kept) if kept else path) as image:
        return encode_webp(image.convert("RGB"), px, exact)


def encode_webp(image: Image.Image, px: int = THUMBNAIL, exact: bool = True) -> bytes:
    """A WebP of an RGB picture, made smaller if it is larger than that; if `exact`, small pictures keep every pixel."""
    exact = exact and max(image.size) <= min(px, PIXEL_ART)
    if max(image.size) > px:
        image = image.copy()
        image.thumbnail((px, px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=exact, quality=50 if exact else 85, method=2)
    return file.getvalue()


def render_image(data: bytes, alt: str, px: int = STATIC, mime: str = "image/webp") -> str:
    """An HTML picture that holds its own data, `px` pixels wide or less."""
    return (
        f'<img alt="{escape(alt)}" style="max-width:{px}px;max-height:{px}px" '
        f'src="data:{mime};base64,{base64.b64encode(data).decode()}">'
    )
