"""Searches where the blocks of a mark lie in a picture: as it is, or mirrored, cut or resized.

Every place that is tried is a further chance for noise to agree. So each has a share of the error,
fixed before the scores are seen, all shares of a search sum to 1, and a probability is divided by
its share (a weighted Bonferroni correction). Likely places have large shares: usual sizes, small
cuts, cuts that keep the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from .chances import LARGEST, Cuts, weigh_sizes
from .dwtdct import MIN_AREA
from .pages import find_page
from .payloads import OTHER_ORDER, Payload, Way
from .places import AS_IS, Blocks, Geometry, Place
from .scores import make_planes, score_blocks, score_ways
from .statistics import fold_grids, is_text

Progress = Callable[[str, float], None]  # what is searched, the share of it that is done

# pixels, from the middle of the picture, whose blocks a search for cuts scores 64 times
MOST = 1_200_000
LONGEST = 4096  # pixels, a side of that middle
# pixels, from the middle rows, that are scored; more would not make the answer better
MOST_AS_IS = 4_200_000
NEARLY = 0.85  # of the best log10 p
UNLIKELY = -2  # log10 p of what may be a mark
# by which a picture is resized after it was cut; anything else is not looked for
FACTORS = (0.5, 0.75, 0.8, 0.9, 1.1, 1.2, 1.25, 1.5, 2)
COMMON = 10  # `Payload.weight` of what is worth the time of that
OFFSETS = [(down, along) for down in range(8) for along in range(8)]


def ignore_progress(what: str, done: float) -> None:
    """Does nothing, where nobody wants to know."""


# As it is


def score_as_is(
    image: np.ndarray,
    ways: Iterable[Way],
    geometry: Geometry = AS_IS,
    notice: Callable[[], object] = bool,
) -> dict[Way, Blocks]:
    """Score a picture neither cut nor resized, but perhaps moved, once for each way.

    `notice` is called before each of them.
    """
    image = geometry.undo_moves(image)
    top, band = take_middle_rows(image)
    stride = image.shape[1] // 8
    phase = -stride * (top // 8)
    return {
        way: Blocks(grid, stride, phase) for way, grid in score_ways(band, ways, notice).items()
    }


def place_as_is(
    scored: dict[Way, Blocks], payloads: dict[str, Payload], geometry: Geometry = AS_IS
) -> dict[str, Place]:
    """Place every payload in a picture whose blocks are scored in all its ways."""
    return {
        name: merge_places(
            _make_place(scored[way], payload, where, share)
            for way, share, where in list_ways(payload, geometry)
        )
        for name, payload in payloads.items()
    }


def list_ways(payload: Payload, geometry: Geometry) -> Iterator[tuple[Way, float, Geometry]]:
    """List (way, share of the error, geometry) for each way in which a payload is written.

    If red and blue were swapped, the other order is the only one.
    """
    if geometry.swapped:
        yield payload.way._replace(order=OTHER_ORDER[payload.order]), 1.0, geometry
        return
    for way, share in payload.ways.items():
        other = way.order != payload.order
        by = payload.swapped_by if other else ""
        yield way, share, replace(geometry, swapped=other, swapped_by=by)


def list_all_ways(payloads: dict[str, Payload]) -> list[Way]:
    return list(dict.fromkeys(way for payload in payloads.values() for way in payload.ways))


def merge_places(places: Iterable[Place]) -> Place:
    """Take the best of several places, each with its share; all were tried."""
    tried = list(places)
    best = min(tried, key=lambda place: place.log10_p)
    return replace(best, tests=sum(place.tests for place in tried))


def separate_channels(image: np.ndarray) -> np.ndarray:
    """Lay a picture out channel by channel, still (H, W, 3): each is read several times.

    One that is scored in part is left as it is, which saves memory.
    """
    if image.shape[0] * image.shape[1] > MOST_AS_IS:
        return image
    return np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)


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
    blocks: Blocks, payload: Payload, geometry: Geometry, share: float = 1.0, tests: int = 1
) -> Place:
    if blocks.scores.size < len(payload):
        return Place(0.0, geometry, math.nan, tests)
    agreement = float((blocks.read(len(payload)) == payload.bits).mean())
    return Place(blocks.weigh(payload), geometry, agreement, tests, blocks).with_share(share)


# Cuts


def place_cut(
    image: np.ndarray, payloads: dict[str, Payload], progress: Progress = ignore_progress
) -> dict[str, Place]:
    """Place every payload in a picture that may have been cut out of a larger one."""
    cuts, window = take_middle(image)
    found: dict[str, list[Place]] = {name: [] for name in payloads}
    ways = list_all_ways(payloads)
    for i, way in enumerate(ways):
        grids = score_shifts(
            make_planes(window, way.arithmetic, way.order),
            way,
            progress=_share_progress(progress, 2 * i, 2 * len(ways)),
        )
        for n, (name, payload) in enumerate(payloads.items()):
            for own, share, where in list_ways(payload, AS_IS):
                if own == way:
                    found[name].append(find_best_cut(grids, payload, cuts, where).with_share(share))
            progress("cut", (i + 0.5 + 0.5 * (n + 1) / len(payloads)) / len(ways))
    return {name: merge_places(places) for name, places in found.items()}


def take_middle(image: np.ndarray) -> tuple[Cuts, np.ndarray]:
    """Take the middle of a picture that is too large to be searched, and its possible cuts."""
    height, width = image.shape[:2]
    factor = min(1.0, math.sqrt(MOST / (height * width)))
    rows, columns = (min(LONGEST, math.ceil(side * factor)) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return Cuts(width, height, left, top), image[top : top + rows, left : left + columns]


def score_shifts(
    planes: np.ndarray, way: Way, every: int = 1, progress: Progress = ignore_progress
) -> np.ndarray:
    """Score the blocks at `OFFSETS`, (64, rows, columns), or at each second or fourth of a side.

    Zeros where there is no room.
    """
    offsets = list_offsets(every)
    grids = np.zeros((len(offsets), planes.shape[1] // 8, planes.shape[2] // 8), np.float32)
    for i, (down, along) in enumerate(offsets):
        grid = score_blocks(planes[:, down:, along:], way.arithmetic, way.method)
        grids[i, : grid.shape[0], : grid.shape[1]] = grid
        progress("cut", (i + 1) / len(offsets))
    return grids


def list_offsets(every: int) -> list[tuple[int, int]]:
    return [offset for offset in OFFSETS if not (offset[0] % every or offset[1] % every)]


def find_best_cut(
    grids: np.ndarray, payload: Payload, cuts: Cuts, geometry: Geometry = AS_IS, every: int = 1
) -> Place:
    """Find the least p of all places, and name a likely place among those nearly as good.

    In smooth pictures a block that is a few pixels off holds the mark as well.
    """
    n_bits = len(payload)
    if grids[0].size < n_bits:
        return Place(0.0, geometry, math.nan)
    strides = cuts.list_strides(n_bits)
    folds = fold_grids(grids, n_bits, strides, is_text(payload))
    shares, offsets = cuts.compute_shares(n_bits, strides), list_offsets(every)
    beside = shares.reshape(8 // every, every, 8 // every, every, len(strides), n_bits)
    shares = beside.sum((1, 3)).reshape(len(offsets), len(strides), n_bits)
    log10_p = folds.compute_log10_p(folds.compute_agreements(payload.bits))
    i, j, phase = np.unravel_index((log10_p - np.log10(shares)).argmin(), shares.shape)
    blocks = Blocks(grids[i].copy(), strides[j], int(phase))
    best = _make_place(blocks, payload, AS_IS, float(shares[i, j, phase]), shares.size)
    likely = np.where(
        log10_p <= NEARLY * log10_p[i, j, phase], np.log10(shares) - 0.1 * log10_p, -np.inf
    )
    i, j, phase = np.unravel_index(likely.argmax(), shares.shape)
    at = offsets[i], strides[j], int(phase)
    cut = cuts.explain(*at, n_bits)
    found = best.log10_p < UNLIKELY
    page = find_page(cuts, Blocks(grids[i], *at[1:]), at[0], payload, cut) if found else None
    return replace(best, geometry=replace(geometry, cut=cut.cut, row=cut.row, page=page))


# Sizes


def place_resized(
    image: np.ndarray, payloads: dict[str, Payload], progress: Progress = ignore_progress
) -> dict[str, Place]:
    """Place every payload at each size before resizing; {} if no usual size fits."""
    sizes, ways = weigh_sizes(image.shape[1], image.shape[0]), list_all_ways(payloads)
    if not sizes:
        return {}
    small = reduce_large(image)
    progress("size", 0.0)
    planes = {way.order: make_plane_images(small, way.order) for way in ways}
    found: dict[str, list[Place]] = {name: [] for name in payloads}
    for i, (size, share) in enumerate(sizes):
        progress("size", i / len(sizes))
        scored = {
            way: Blocks(score_resized(planes[way.order], size, way), size[0] // 8, 0)
            for way in ways
        }
        for name, place in place_as_is(scored, payloads, Geometry(size=size)).items():
            found[name].append(place.with_share(share))
    return {name: merge_places(places) for name, places in found.items()}


# Cut, then resized


def place_cut_resized(
    image: np.ndarray, payloads: dict[str, Payload], progress: Progress = ignore_progress
) -> dict[str, Place]:
    """Place the common payloads in a picture that may have been cut, then resized.

    By a usual factor. Offsets are two pixels apart: resizing has blurred the blocks by as much.
    """
    common = {name: payload for name, payload in payloads.items() if payload.weight >= COMMON}
    sizes = list_sizes_after_cut(image.shape[1], image.shape[0])
    ways = list(dict.fromkeys(payload.way for payload in common.values()))
    planes = {way.order: make_plane_images(image, way.order) for way in ways if sizes}
    found: dict[str, list[Place]] = {name: [] for name in common if sizes}
    for i, size in enumerate(sizes):
        for n, way in enumerate(ways):
            progress("both", (i + n / len(ways)) / len(sizes))
            resized = resize_planes(planes[way.order], size, way)
            cuts, window = take_middle(np.moveaxis(resized, 0, 2))
            grids = score_shifts(np.moveaxis(window, 2, 0), way, 2)
            for name, payload in common.items():
                if payload.way == way:
                    place = find_best_cut(grids, payload, cuts, Geometry(size=size), 2)
                    found[name].append(place.with_share(1 / len(sizes)))
    return {name: merge_places(places) for name, places in found.items()}


def list_sizes_after_cut(width: int, height: int) -> list[tuple[int, int]]:
    """List the sizes from which a picture may have been resized by a factor of `FACTORS`."""
    sizes = [(round(width / factor), round(height / factor)) for factor in FACTORS]
    return [(w, h) for w, h in sizes if MIN_AREA // 2 <= w * h <= LARGEST and min(w, h) >= 64]


def make_plane_images(image: np.ndarray, order: str = "BGR") -> list[Image.Image]:
    """Make Y, U and V of float32 arithmetic, as pictures that Pillow resizes."""
    return [Image.fromarray(plane) for plane in make_planes(image, "float32", order)]


def score_resized(planes: list[Image.Image], size: tuple[int, int], way: Way) -> np.ndarray:
    """Score the blocks at another size, from Y, U and V of `make_plane_images`."""
    return score_blocks(resize_planes(planes, size, way), way.arithmetic, way.method)


def resize_planes(planes: list[Image.Image], size: tuple[int, int], way: Way) -> np.ndarray:
    """Resize Y, U and V to (width, height), float32 (3, height, width), as the way centres them."""
    resized = np.stack([np.asarray(p.resize(size, Image.Resampling.LANCZOS)) for p in planes])
    if way.arithmetic == "uint8":
        resized[1:] += np.float32(127.5)  # between the centres of U and V in float32 and in uint8
    return resized


def reduce_large(image: np.ndarray) -> np.ndarray:
    """Reduce a picture that is larger than all sizes of interest, to twice their pixels."""
    factor = math.sqrt(MOST_AS_IS / (image.shape[0] * image.shape[1]))
    if factor >= 1:
        return image
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _share_progress(progress: Progress, i: int, n: int) -> Progress:
    return lambda what, done: progress(what, (i + done) / n)
