"""Searches where the blocks of a mark lie in a picture: as it is, or mirrored, cut or resized.

The probability of the best place is divided by that place's share of the error, which `geometry`
fixes beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .geometry import AS_IS, Cuts, Geometry, weigh_sizes
from .payloads import Payload
from .scores import make_planes, score_blocks
from .statistics import fold_grids, is_text, read_bits, weigh_evidence

Progress = Callable[[str, float], None]

# pixels, from the middle of the picture, whose blocks a search for cuts scores 64 times
MOST = 1_200_000
LONGEST = 4096  # pixels, a side of that middle
# pixels, from the middle rows, that are scored; more would not make the answer better
MOST_AS_IS = 4_200_000
NEARLY = 0.85  # of the best log10 p
OFFSETS = [(down, along) for down in range(8) for along in range(8)]


@dataclass(frozen=True)
class Place:
    """The best place of one payload in one search.

    Attributes
    ----------
    log10_p : float
        At most 0; `with_share` divides it by a share of the error.
    geometry : Geometry
    agreement : float
        Share of the payload's bits that the scores read right there; NaN if it has more bits than
        there are blocks.
    tests : int
        Places that were tried.
    """

    log10_p: float
    geometry: Geometry
    agreement: float
    tests: int = 1

    def with_share(self, share: float) -> Place:
        return replace(self, log10_p=min(0.0, self.log10_p - math.log10(share)))


# As it is


def place_as_is(
    image: np.ndarray, payloads: dict[str, Payload], geometry: Geometry = AS_IS
) -> dict[str, Place]:
    """Place every payload in a picture neither cut nor resized, but perhaps mirrored or swapped."""
    order = "RGB" if geometry.swapped else "BGR"
    top, band = take_middle_rows(image[:, ::-1] if geometry.mirrored else image)
    grids = {a: score_blocks(make_planes(band, a, order), a) for a in list_arithmetics(payloads)}
    stride = image.shape[1] // 8
    return {
        name: _make_place(grids[p.arithmetic], p, stride, -stride * (top // 8), geometry)
        for name, p in payloads.items()
    }


def take_middle_rows(image: np.ndarray) -> tuple[int, np.ndarray]:
    """Take (first row, middle rows) of a picture that is too large to be scored whole.

    The first row begins a block.
    """
    height, width = image.shape[:2]
    rows = max(8, MOST_AS_IS // width)
    if rows >= height:
        return 0, image
    top = (height - rows) // 16 * 8
    return top, image[top : top + rows]


def _make_place(
    grid: np.ndarray,
    payload: Payload,
    stride: int,
    phase: int,
    geometry: Geometry,
    share: float = 1.0,
    tests: int = 1,
) -> Place:
    if grid.size < len(payload):
        return Place(0.0, geometry, math.nan, tests)
    agreement = (read_bits(grid, len(payload), stride, phase) == payload.bits).mean()
    place = Place(weigh_evidence(grid, payload, stride, phase), geometry, float(agreement), tests)
    return place.with_share(share)


# Cuts


def place_cut(
    image: np.ndarray, payloads: dict[str, Payload], progress: Progress | None = None
) -> dict[str, Place]:
    """Place every payload in a picture that may have been cut out of a larger one."""
    cuts, window = take_middle(image)
    found: dict[str, Place] = {}
    for i, arithmetic in enumerate(list_arithmetics(payloads)):
        grids = score_shifts(
            make_planes(window, arithmetic),
            arithmetic,
            _share_progress(progress, i, len(list_arithmetics(payloads))),
        )
        found |= {
            name: find_best_cut(grids, p, cuts)
            for name, p in payloads.items()
            if p.arithmetic == arithmetic
        }
    return {name: found[name] for name in payloads}


def take_middle(image: np.ndarray) -> tuple[Cuts, np.ndarray]:
    """Take the middle of a picture that is too large to be searched, and its possible cuts."""
    height, width = image.shape[:2]
    factor = min(1.0, math.sqrt(MOST / (height * width)))
    rows, columns = (min(LONGEST, math.ceil(side * factor)) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return Cuts(width, height, left, top), image[top : top + rows, left : left + columns]


def score_shifts(
    planes: np.ndarray, arithmetic: str, progress: Progress | None = None
) -> np.ndarray:
    """Score the blocks at all `OFFSETS`, (64, rows, columns); zeros where there is no room."""
    grids = np.zeros((64, planes.shape[1] // 8, planes.shape[2] // 8), np.float32)
    for i, (down, along) in enumerate(OFFSETS):
        grid = score_blocks(planes[:, down:, along:], arithmetic)
        grids[i, : grid.shape[0], : grid.shape[1]] = grid
        if progress:
            progress("cut", (i + 1) / 64)
    return grids


def find_best_cut(grids: np.ndarray, payload: Payload, cuts: Cuts) -> Place:
    """Find the least p of all places, and name a likely place among those nearly as good.

    In smooth pictures a block that is a few pixels off holds the mark as well.
    """
    n_bits = len(payload)
    if grids[0].size < n_bits:
        return Place(0.0, AS_IS, math.nan)
    strides = cuts.list_strides(n_bits)
    folds, shares = (
        fold_grids(grids, n_bits, strides, is_text(payload)),
        cuts.compute_shares(n_bits, strides),
    )
    log10_p = folds.compute_log10_p(folds.compute_agreements(payload.bits))
    i, j, phase = np.unravel_index((log10_p - np.log10(shares)).argmin(), shares.shape)
    best = _make_place(
        grids[i], payload, strides[j], int(phase), AS_IS, float(shares[i, j, phase]), shares.size
    )
    likely = np.where(
        log10_p <= NEARLY * log10_p[i, j, phase], np.log10(shares) - 0.1 * log10_p, -np.inf
    )
    i, j, phase = np.unravel_index(likely.argmax(), shares.shape)
    return replace(best, geometry=cuts.explain(OFFSETS[i], strides[j], int(phase), n_bits))


# Sizes


def place_resized(
    image: np.ndarray, payloads: dict[str, Payload], progress: Progress | None = None
) -> dict[str, Place]:
    """Place every payload at each size before resizing; {} if no usual size fits."""
    from PIL import Image

    sizes = weigh_sizes(image.shape[1], image.shape[0])
    found: dict[str, Place] = {}
    if not sizes:
        return found
    planes = [Image.fromarray(plane) for plane in make_planes(reduce_large(image), "float32")]
    for i, (size, share) in enumerate(sizes):
        grids = score_resized(planes, size, list_arithmetics(payloads))
        for name, payload in payloads.items():
            place = _make_place(
                grids[payload.arithmetic],
                payload,
                size[0] // 8,
                0,
                Geometry(size=size),
                share,
                len(sizes),
            )
            found[name] = min(place, found.get(name, place), key=lambda place: place.log10_p)
        if progress:
            progress("size", (i + 1) / len(sizes))
    return found


def score_resized(planes: list[Any], size: tuple[int, int], of: list[str]) -> dict[str, np.ndarray]:
    """Score the blocks of each arithmetic at another size, from Y, U and V as PIL images."""
    from PIL import Image

    y, u, v = (np.asarray(plane.resize(size, Image.Resampling.LANCZOS)) for plane in planes)
    shift = np.float32(127.5)  # between the centres of U and V in float32 and in uint8
    return {
        a: score_blocks(np.stack([y, u, v] if a == "float32" else [y, u + shift, v + shift]), a)
        for a in of
    }


def reduce_large(image: np.ndarray) -> np.ndarray:
    """Reduce a picture that is larger than all sizes of interest, to twice their pixels."""
    from PIL import Image

    factor = math.sqrt(MOST_AS_IS / (image.shape[0] * image.shape[1]))
    if factor >= 1:
        return image
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def list_arithmetics(payloads: dict[str, Payload]) -> list[str]:
    return sorted({payload.arithmetic for payload in payloads.values()})


def _share_progress(progress: Progress | None, i: int, n: int) -> Progress | None:
    return progress and (lambda what, done: progress(what, (i + done) / n))
