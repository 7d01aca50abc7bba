"""Whether a marked picture stands whole on a larger page, as in a screenshot, rather than cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .chances import Cuts
from .dwtdct import MIN_AREA
from .payloads import Payload
from .places import Blocks, Geometry

NARROWEST = 64  # pixels of a marked picture
SURE = 2  # log10 of a likelihood ratio that says more than which of two shifts is shorter


def find_page(
    cuts: Cuts, blocks: Blocks, offset: tuple[int, int], payload: Payload, cut: Geometry
) -> tuple[int, int, int] | None:
    """Find where the whole picture stands (left, top, width), if that is likelier than the cut.

    The mark tells a place up to its period: what is 876 pixels before it may be 20 behind it.
    Blocks around a picture on a page carry no mark, and all of a cut one do. Where too few of them
    tell, the shorter of the two shifts is likelier.
    """
    signs = read_signs(blocks, payload)
    sums = [np.pad(each.cumsum(0).cumsum(1), ((1, 0), (1, 0))) for each in (signs > 0, signs != 0)]
    pages = list(list_pages(cuts, blocks, offset, len(payload)))
    if not pages:
        return None
    told = [weigh_page(page, cuts, offset, sums) for page in pages]
    best = max(range(len(pages)), key=lambda i: (round(told[i], 1), -sum(pages[i][:2])))
    page, sure = pages[best], told[best]
    shorter = not cut.row or sum(page[:2]) <= sum(cut.cut or (0, 0))
    return page if sure > SURE or (sure > -SURE and shorter) else None


def read_signs(blocks: Blocks, payload: Payload) -> np.ndarray:
    """Read which blocks agree with a payload: 1, -1, or 0 where there is no block."""
    rows, columns = np.indices(blocks.scores.shape)
    bits = payload.bits[(blocks.stride * rows + columns - blocks.phase) % len(payload)]
    return np.sign(blocks.scores) * (2.0 * bits - 1)


def list_pages(
    cuts: Cuts, blocks: Blocks, offset: tuple[int, int], n_bits: int
) -> Iterator[tuple[int, int, int]]:
    """List where a whole picture may stand: (left, top, width), in whole blocks of the mark."""
    down, along = offset[0] + cuts.top, offset[1] + cuts.left
    for width in range(8 * blocks.stride, cuts.width + 1, 8 * n_bits):
        if width < NARROWEST:
            continue
        for left in range(along % 8, cuts.width - width + 1, 8):
            for top in range(down % 8, cuts.height - MIN_AREA // width + 1, 8):
                before = blocks.stride * ((down - top) // 8) + (along - left) // 8
                if (before + blocks.phase) % n_bits == 0:
                    yield left, top, width


def weigh_page(
    page: tuple[int, int, int], cuts: Cuts, offset: tuple[int, int], sums: list[np.ndarray]
) -> float:
    """Compute log10 of how much likelier the blocks around the picture are without a mark."""
    left, top, width = page
    rows, columns = (side - 1 for side in sums[0].shape)
    first = np.clip(-(-(left - cuts.left - offset[1]) // 8), 0, columns)
    last = np.clip((left + width - cuts.left - offset[1]) // 8, first, columns)
    above = np.clip(-(-(top - cuts.top - offset[0]) // 8), 0, rows)
    right, of = (
        each[rows, last] - each[rows, first] - each[above, last] + each[above, first]
        for each in sums
    )
    rate = np.clip((right + 1) / (of + 2), 0.51, 0.98)  # of a marked block to agree
    agree, around = (each[-1, -1] - inside for each, inside in zip(sums, (right, of)))
    return -float(agree * np.log10(2 * rate) + (around - agree) * np.log10(2 - 2 * rate))
