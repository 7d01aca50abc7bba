"""Draws where in a picture a mark is: what the official decoder meets, what the detector weighs.

Both go from dark blue (for the mark) over grey to light orange (against it): the colour-blind tell
them apart, and so does a print in black and white.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from .dwtdct import STEP, read_residues, require_area, split_bands
from .opening import read_pixels
from .payloads import OTHER_ORDER, Payload, Way, find_payload, require_known
from .places import AS_IS, Geometry
from .scores import average_box, score_blocks, score_way
from .search import make_plane_images, reduce_large, resize_planes

BLUE, GREY, ORANGE = (11, 66, 138), (152, 152, 152), (255, 205, 120)
# from 9 or 27, half of the way to the other bit; the program's rounding moves a residue by 1 to 3
NEAR = 4.5
SMOOTHED = 7  # blocks, twice: a disc of about 11 blocks, 90 pixels
STRONG = 6.0  # standard deviations of chance, in full colour
# power of what is less: 3, as somewhere in any unmarked picture, are a third of the colour
FAINT = 1.5
WORDS = {
    "residue": (
        "agrees: the bit is right and where it was put",
        "leans: the bit is right, but it was moved",
        "wrong: the other bit is read here",
    ),
    "evidence": (
        "speaks for this mark",
        "says nothing; chance makes no more than pale spots",
        "speaks against it",
    ),
}


def list_colours(kind: str) -> list[tuple[str, str]]:
    """List ("#rrggbb", what it means) of the map "residue" or "evidence", from dark to light."""
    require_known("kind", kind, WORDS)
    return [
        ("#{:02x}{:02x}{:02x}".format(*colour), words)
        for colour, words in zip((BLUE, GREY, ORANGE), WORDS[kind])
    ]


def draw_residues(image: Any, payload: Payload | str | bytes) -> Image.Image:
    """Draw what the official decoder meets in each block, as squares of 8x8 pixels.

    The picture has the same size.

    In an unmarked picture about half of the squares are wrong, and a quarter or less agrees. The
    decoder takes the picture as it is, so the map of a marked one that was cut, resized or saved as
    JPEG looks like that, too.

    Parameters
    ----------
    image : path, PIL image or uint8 array (H, W, 3)
        RGB; at least 65,536 pixels.
    payload : Payload, str or bytes
        A name in `PAYLOADS`, a text or bytes; it is read as its program writes it.

    Raises
    ------
    TypeError, ValueError, OSError
        For an image that cannot be read or is too small, and for an impossible payload.
    """
    payload, pixels = find_payload(payload), require_area(read_pixels(image))
    found = np.concatenate([read_residues(band, *payload.way) for band in split_bands(pixels)])
    bits = payload.bits[np.arange(len(found)) % len(payload)]
    wrong = (found > STEP / 2) != bits
    leans = np.abs(found - np.where(bits, 0.75, 0.25) * STEP) > NEAR
    kinds = np.where(wrong, 2, leans.astype(int)).reshape(-1, pixels.shape[1] // 8)
    return draw_squares(np.array([BLUE, GREY, ORANGE], np.uint8)[kinds], pixels.shape)


def draw_evidence(
    image: Any, payload: Payload | str | bytes, geometry: Geometry | None = None
) -> Image.Image:
    """Draw what the detector weighs, smoothed over about 11 blocks.

    A place that was painted over is a hole in the blue.

    Parameters
    ----------
    image : path, PIL image or uint8 array (H, W, 3)
        RGB.
    payload : Payload, str or bytes
        A name in `PAYLOADS`, a text or bytes.
    geometry : Geometry, optional
        Of a finding of `detect_watermark`: the scores are taken where the mark was before the
        picture was mirrored, turned, cut or resized, and drawn where it is now. A cut from rows of
        unknown width is not undone: the map shows the picture as it is.

    Raises
    ------
    TypeError, ValueError, OSError
        For an image that cannot be read or has no whole block, and for an impossible payload.
    """
    geometry, pixels = geometry or AS_IS, read_pixels(image)
    payload = find_payload(payload)
    grid, (top, left), stride, first = score_before(pixels, payload.way, geometry)
    rows, columns = np.indices(grid.shape)
    expected = 2.0 * payload.bits[(stride * rows + columns + first) % len(payload)] - 1
    once = np.full(SMOOTHED, 1 / SMOOTHED)
    weights = np.convolve(once, once)  # along both sides: the root of its square
    # scores of random sign make a standard normal law of z
    chance = np.sqrt(smooth(grid.astype(float) ** 2)) * (weights**2).sum()
    z = smooth(grid * expected) / np.maximum(chance, 1e-9)
    amount = np.clip(np.abs(z) / STRONG, 0, 1)[..., None] ** FAINT
    colours = np.array(GREY) * (1 - amount) + np.where(z[..., None] > 0, BLUE, ORANGE) * amount
    upright = geometry.undo_moves(pixels)
    before = (geometry.size[1], geometry.size[0]) if geometry.size else upright.shape[:2]
    picture = draw_squares(np.round(colours).astype(np.uint8), before, top, left)
    picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if geometry.mirrored else picture
    picture = picture.rotate(geometry.turned, expand=True) if geometry.turned else picture
    return picture.resize(pixels.shape[1::-1], Image.Resampling.NEAREST)


def score_before(
    pixels: np.ndarray, way: Way, geometry: Geometry
) -> tuple[np.ndarray, tuple[int, int], int, int]:
    """Score the blocks as they were marked.

    Returns the scores, where (top, left) the first block begins, the blocks in a row then, and the
    blocks before the first.
    """
    pixels = geometry.undo_moves(pixels)
    way = way._replace(order=OTHER_ORDER[way.order]) if geometry.swapped else way
    left, top = geometry.cut if geometry.cut and geometry.row else (0, 0)
    if geometry.size:
        planes = make_plane_images(reduce_large(pixels), way.order)
        resized = resize_planes(planes, geometry.size, way)
        part = resized[:, -top % 8 :, -left % 8 :]
        grid = score_blocks(part, way.arithmetic, way.method)
        stride = geometry.row // 8 if geometry.cut and geometry.row else grid.shape[1]
        return grid, (-top % 8, -left % 8), stride, stride * -(-top // 8) - (-left // 8)
    part = pixels[-top % 8 :, -left % 8 :]
    if min(part.shape[:2]) < 8:
        raise ValueError(
            f"a picture of {pixels.shape[1]}x{pixels.shape[0]} has no whole block of 8x8 pixels"
        )
    grid = np.concatenate([score_way(band, way) for band in split_bands(part)])
    stride = geometry.row // 8 if geometry.cut and geometry.row else grid.shape[1]
    return grid, (-top % 8, -left % 8), stride, stride * -(-top // 8) - (-left // 8)


def smooth(grid: np.ndarray) -> np.ndarray:
    return average_box(average_box(grid, SMOOTHED), SMOOTHED)


def draw_squares(
    colours: np.ndarray, shape: tuple[int, ...], top: int = 0, left: int = 0
) -> Image.Image:
    """Draw blocks (rows, columns, 3) as squares; grey where there is no whole block."""
    canvas = np.full((*shape[:2], 3), GREY, np.uint8)
    squares = colours.repeat(8, 0).repeat(8, 1)
    canvas[top : top + len(squares), left : left + squares.shape[1]] = squares
    return Image.fromarray(canvas)
