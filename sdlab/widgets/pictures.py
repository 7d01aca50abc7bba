"""Pictures as a page or a notebook shows them: small WebP files made from those of the frame."""

from __future__ import annotations

import functools
import io
import os
from html import escape

from PIL import Image

from ..pictures import SMALL_SIDE, data_uri, webp_bytes
from ..results.frame import hide_home
from ..store.png import read_thumbnail

THUMBNAIL = 256  # pixels on the longest side
STATIC = 96  # pixels, in the notebook's own picture


def thumbnail(path: str, px: int = THUMBNAIL, exact: bool = True) -> bytes:
    """A WebP of the picture at that path, at most `px` pixels wide and high; the latest ones are kept in memory.

    Raises OSError, which says why, if there is no such file or no picture in it.
    """
    try:
        return _thumbnail(os.fspath(path), os.stat(path).st_mtime_ns, px, exact)
    except Exception as error:  # Pillow has many names for a broken file, among them SyntaxError and DecompressionBombError
        raise OSError(hide_home(error)) from error


@functools.lru_cache(8192)
def _thumbnail(path: str, changed: int, px: int, exact: bool) -> bytes:
    kept = read_thumbnail(path) if px <= SMALL_SIDE else None
    if kept and exact:
        return kept
    with Image.open(io.BytesIO(kept) if kept else path) as image:
        return webp_bytes(image.convert("RGB"), px, exact=exact)


def img(data: bytes, alt: str, px: int = STATIC) -> str:
    """Writes an HTML picture that holds its own WebP, `px` pixels wide or less."""
    return (
        f'<img alt="{escape(alt)}" style="max-width:{px}px;max-height:{px}px" '
        f'src="{data_uri(data)}">'
    )
