"""Reads a text that generators hide in the lowest bits of the colours or of alpha."""

from __future__ import annotations

import zlib
from contextlib import suppress

import numpy as np

from .labels import LONGEST, RECIPE, Claim, find_writer, quote

# how the text begins: where it is hidden, and whether it is packed
SIGNATURES = {
    b"stealth_pnginfo": ("alpha", False),
    b"stealth_pngcomp": ("alpha", True),
    b"stealth_rgbinfo": ("RGB", False),
    b"stealth_rgbcomp": ("RGB", True),
}
CHANNELS = {"alpha": slice(3, 4), "RGB": slice(0, 3)}
HEAD = 15 + 4  # bytes: the signature, then the number of bits
GZIP = 31  # of zlib's kinds


def read_stealth(pixels: np.ndarray) -> Claim | None:
    """Read what the hidden text of RGB or RGBA pixels says; None if there is none."""
    if (found := read_hidden(pixels)) is None:
        return None
    where, text = found
    return Claim(f"lowest bits of {where}", find_writer(text) or "", quote(text), RECIPE)


def read_hidden(pixels: np.ndarray) -> tuple[str, str] | None:
    """Read the hidden text of RGB or RGBA pixels, and where it is hidden; None if there is none.

    The bits stand column by column, a byte's highest bit first, and in RGB colour by colour. The
    layout is that of the extension "stealth pnginfo" of A1111, which NovelAI took over.
    """
    if not (place := tell_place(pixels)):
        return None
    where, packed, length = place
    data = _read_bytes(pixels[:, :, CHANNELS[where]], HEAD, min(length, LONGEST))
    text = _unpack_text(data, packed)
    return None if text is None else (where, text)


def tell_place(pixels: np.ndarray) -> tuple[str, bool, int] | None:
    """Tell where a text is hidden, whether it is packed, and its bytes; None if there is none."""
    for where, channels in CHANNELS.items():
        head = _read_bytes(pixels[:, :, channels], 0, HEAD)
        named, packed = SIGNATURES.get(head[:15], ("", False))
        if named == where and len(head) == HEAD:
            return where, packed, int.from_bytes(head[15:], "big") // 8
    return None


def _read_bytes(planes: np.ndarray, start: int, count: int) -> bytes:
    """Read `count` bytes from the lowest bits of (H, W, C) planes; fewer if there are no more."""
    height, _, depth = planes.shape
    if not height * depth:
        return b""
    first, last = start * 8 // (height * depth), -(-(start + count) * 8 // (height * depth))
    bits = (planes[:, first:last] & 1).transpose(1, 0, 2).ravel()
    skip = start * 8 - first * height * depth
    return np.packbits(bits[skip : skip + count * 8]).tobytes()


def _unpack_text(data: bytes, packed: bool) -> str | None:
    """Decode the text, which may be packed; None if it is damaged."""
    with suppress(zlib.error, UnicodeDecodeError):
        plain = zlib.decompressobj(GZIP).decompress(data, LONGEST) if packed else data
        return plain.decode() or None
    return None
