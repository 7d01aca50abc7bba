"""Searches where the blocks of a mark lie in a picture: as it is, or mirrored, cut or resized.

Every place that is tried is a further chance for noise to agree. So each has a share of the error,
fixed before the scores are seen, all shares of a search sum to 1, and a probability is divided by
its share (a weighted Bonferroni correction). Likely places have large shares: usual sizes, small
cuts, cuts that keep the middle.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from .dwtdct import MIN_AREA
from .payloads import OTHER_ORDER, Payload, Way
from .scores import make_planes, score_blocks, score_ways
from .statistics import Folds, fold_grids, is_text, measure_bits, weigh_folds

Progress = Callable[[str, float], None]  # what is searched, the share of it that is done

# pixels, from the middle of the picture, whose blocks a search for cuts scores 64 times
MOST = 1_200_000
LONGEST = 4096  # pixels, a side of that middle
# pixels, from the middle rows, that are scored; more would not make the answer better
MOST_AS_IS = 4_200_000
NEARLY = 0.85  # of the best log10 p
USUAL = {
    512: 8,
    768: 5,
    1024: 8,
    640: 3,
    832: 3,
    896: 3,
    960: 2,
    1152: 3,
    1216: 3,
    1280: 2,
    1344: 3,
    1536: 2,
}  # side: weight
RARE = 0.25  # weight of a side that is a multiple of 8 but not of 64
ANYWHERE = 0.1  # share of all cuts alike
REDUCED, ENLARGED = 2.5, 8  # at most
LARGEST = 2_300_000  # pixels of a size before
# by which a picture is resized after it was cut; anything else is not looked for
FACTORS = (0.5, 0.75, 0.8, 0.9, 1.1, 1.2, 1.25, 1.5, 2)
COMMON = 10  # `Payload.weight` of what is worth the time of that
OFFSETS = [(down, along) for down in range(8) for along in range(8)]


def ignore_progress(what: str, done: float) -> None:
    """Does nothing, where nobody wants to know."""


@dataclass(frozen=True)
class Geometry:
    """What happened to a picture after it was marked.

    Attributes
    ----------
    mirrored, swapped : bool
        Left and right; red and blue.
    swapped_by : str
        Who writes the mark with red and blue swapped; then that was done before, and not since.
    cut : (left, top), optional
        Pixels that were cut off there, by the likeliest explanation: within a few pixels, and
        others may fit as well.
    row : int, optional
        Width of the picture before it was cut, in pixels.
    size : (width, height), optional
        Before it was resized, and after it was cut.
    turned : {0, 90, 180, 270}
        Degrees, to the left.
    inverted : bool
        Whether it is a negative.
    """

    mirrored: bool = False
    swapped: bool = False
    swapped_by: str = ""
    cut: tuple[int, int] | None = None
    row: int | None = None
    size: tuple[int, int] | None = None
    turned: int = 0
    inverted: bool = False

    def __str__(self) -> str:
        order = f"in the channel order of {self.swapped_by}"
        words = ["mirrored"] * self.mirrored + ["inverted"] * self.inverted
        words += [f"turned by {self.turned} degrees"] if self.turned else []
        words += [order if self.swapped_by else "red and blue swapped"] * self.swapped
        row = f" from rows of {self.row}" if self.row else ""
        words += [f"as if cut by {self.cut[0]}, {self.cut[1]}{row}"] if self.cut else []
        words += [f"resized from {self.size[0]}x{self.size[1]}"] if self.size else []
        return ", ".join(words) or "as is"

    def undo_moves(self, image: np.ndarray) -> np.ndarray:
        """Turn and mirror a picture (H, W, 3) back, and invert it once more."""
        image = np.rot90(image, -self.turned // 90) if self.turned else image
        image = image[:, ::-1] if self.mirrored else image
        return 255 - image if self.inverted else image

    @property
    def is_plain(self) -> bool:
        """Whether nothing happened to the picture."""
        plain = replace(self, swapped=False, swapped_by="") == AS_IS
        return plain and (bool(self.swapped_by) or not self.swapped)


AS_IS = Geometry()


@dataclass(frozen=True, eq=False)
class Blocks:
    """The scores of a picture's blocks, and which bit each of them carries.

    Attributes
    ----------
    scores : array (rows, columns)
    stride, phase : int
        Block (row, column) carries bit (stride * row + column - phase) mod n_bits.
    """

    scores: np.ndarray
    stride: int
    phase: int
    _kept: dict[tuple[int, bool], Folds] = field(default_factory=dict)
    _read: dict[int, np.ndarray] = field(default_factory=dict)

    def weigh(self, payload: Payload) -> float:
        """Compute log10 p of a payload; 0 if it has more bits than there are blocks."""
        n_bits, text = len(payload), is_text(payload)
        if self.scores.size < n_bits:
            return 0.0
        if (n_bits, text) not in self._kept:
            grid = np.asarray(self.scores, float)
            self._kept[n_bits, text] = fold_grids(grid, n_bits, (self.stride % n_bits,), text)
        return weigh_folds(self._kept[n_bits, text], payload, self.phase)

    def read(self, n_bits: int) -> np.ndarray:
        """Read the bits, bool (n_bits,)."""
        if n_bits not in self._read:
            self._read[n_bits] = self.measure(n_bits) > 0
        return self._read[n_bits]

    def measure(self, n_bits: int) -> np.ndarray:
        """Measure how clearly each bit is 1, or 0 where that is negative, (n_bits,)."""
        return measure_bits(self.scores, n_bits, self.stride, self.phase)

    def without(self, other: Blocks, n_bits: int) -> Blocks:
        """Take off what a mark of n_bits bits, placed as in `other`, explains of the scores."""
        rows, columns = np.indices(self.scores.shape)
        index = (other.stride * rows + columns - other.phase) % n_bits
        total = np.bincount(index.ravel(), self.scores.ravel(), n_bits)
        mean = total / np.maximum(np.bincount(index.ravel(), minlength=n_bits), 1)
        return Blocks(self.scores - mean[index], self.stride, self.phase)

    def halve(self) -> tuple[Blocks, Blocks]:
        """Split them into the upper and the lower half."""
        half = len(self.scores) // 2
        lower = Blocks(self.scores[half:], self.stride, self.phase - self.stride * half)
        return Blocks(self.scores[:half], self.stride, self.phase), lower


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
    blocks : Blocks or None
        What the payload is read from there.
    """

    log10_p: float
    geometry: Geometry
    agreement: float
    tests: int = 1
    blocks: Blocks | None = field(default=None, repr=False)

    def with_share(self, share: float) -> Place:
        return replace(self, log10_p=min(0.0, self.log10_p - math.log10(share)))


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
    cut = cuts.explain(offsets[i], strides[j], int(phase), n_bits)
    return replace(best, geometry=replace(geometry, cut=cut.cut, row=cut.row))


# How likely each cut is, and each size


@dataclass(frozen=True, eq=False)
class Cuts:
    """How likely which cut is, for a `width` x `height` picture of which a window is looked at.

    A side of the picture as it was marked is a multiple of 64 pixels, or one of the next multiples
    of 8; usual and near ones are likelier. Given the side, half of the probability is for all ways
    to cut it alike, a quarter for its middle, and an eighth for each end.
    """

    width: int
    height: int
    left: int = 0  # pixels before the window
    top: int = 0

    def weigh_lefts(self) -> list[tuple[int, np.ndarray]]:
        """List (width before, probability of each number of pixels cut off at the left)."""
        return [
            (side, share * weigh_cuts(side - self.width)) for side, share in weigh_sides(self.width)
        ]

    def weigh_tops(self, side: int) -> np.ndarray:
        """Compute how likely each number of pixels is cut off at the top, given the width before.

        Half of it is for the height that keeps the proportions.
        """
        total = 0.5 * _weigh_heights(self.height)
        before = max(-(-self.height // 64), round(self.height * side / self.width / 64)) * 64
        alike = min(before - self.height, len(total) - 1)  # a strip keeps no proportions
        total[: alike + 1] += 0.5 * weigh_cuts(alike)
        return total

    def list_strides(self, n_bits: int) -> tuple[int, ...]:
        """List the blocks in a row modulo n_bits, for likely widths and every multiple of 64."""
        likely = {side // 8 % n_bits for side, _ in weigh_sides(self.width)}
        return tuple(sorted(likely | {8 * i % n_bits for i in range(n_bits)}))

    def compute_shares(self, n_bits: int, strides: tuple[int, ...]) -> np.ndarray:
        """Share out the error by pixel offset, stride and phase: (64, n_strides, n_bits), sum 1."""
        both = np.zeros((8, 8, len(strides), n_bits // 2 + 1), complex)
        for side, likely in self.weigh_lefts():
            stride = side // 8 % n_bits
            along = _sum_by_block(likely, self.left, 1, n_bits)
            down = _sum_by_block(self.weigh_tops(side), self.top, stride, n_bits)
            both[:, :, strides.index(stride)] += np.fft.rfft(down)[:, None] * np.fft.rfft(
                along
            )  # phases add up
        both = np.fft.irfft(both, n_bits).reshape(64, len(strides), n_bits).clip(0)
        return (1 - ANYWHERE) * both / both.sum() + ANYWHERE / both.size

    def explain(self, offset: tuple[int, int], stride: int, phase: int, n_bits: int) -> Geometry:
        """Find the likeliest cut that puts the blocks there."""
        best = 0.0, Geometry(cut=((-offset[1]) % 8, (-offset[0]) % 8))
        for side, likely in self.weigh_lefts():
            if side // 8 % n_bits != stride:
                continue
            down = self.weigh_tops(side)
            tops = np.arange((-offset[0] - self.top) % 8, len(down), 8)
            lefts = np.arange((-offset[1] - self.left) % 8, len(likely), 8)
            blocks = (
                stride * _locate_block(tops + self.top)[1][:, None]
                + _locate_block(lefts + self.left)[1]
            )
            chance = down[tops][:, None] * likely[lefts] * ((blocks + phase) % n_bits == 0)
            if chance.size and chance.max() > best[0]:
                i, j = np.unravel_index(chance.argmax(), chance.shape)
                best = chance[i, j], Geometry(cut=(int(lefts[j]), int(tops[i])), row=side)
        return best[1]


def weigh_cuts(cut: int) -> np.ndarray:
    """Compute how likely 0, 1, ... or all of `cut` pixels are cut off at the left or the top."""
    likely = np.full(cut + 1, 0.5 / (cut + 1))
    np.add.at(likely, [0, cut, cut // 2, (cut + 1) // 2], 0.125)
    return likely


@functools.lru_cache(maxsize=16)
def _weigh_heights(height: int) -> np.ndarray:
    """Compute how likely each number of pixels is cut off at the top, for all heights before."""
    likely = weigh_sides(height)
    total = np.zeros(max(before for before, _ in likely) - height + 1)
    for before, share in likely:
        total[: before - height + 1] += share * weigh_cuts(before - height)
    return total


def weigh_sides(side: int) -> list[tuple[int, float]]:
    """List (side before the cut, probability), all probabilities together 1."""
    first, last = -(-side // 64) * 64, max(4096, 2 * side)
    weights = {
        before: USUAL.get(before, 1) * (side / before) ** 2 for before in range(first, last + 1, 64)
    }
    for before in range(-(-side // 8) * 8, -(-side // 8) * 8 + 32, 8):
        weights.setdefault(before, RARE)
    total = sum(weights.values())
    return [(before, weight / total) for before, weight in sorted(weights.items())]


def _sum_by_block(likely: np.ndarray, before: int, stride: int, n_bits: int) -> np.ndarray:
    """Sum the probabilities of cuts by pixel offset and phase, (8, n_bits).

    In a window that lies `before` pixels further.
    """
    offset, blocks = _locate_block(np.arange(len(likely)) + before)
    total = np.zeros((8, n_bits))
    np.add.at(total, (offset, -stride * blocks % n_bits), likely)
    return total


def _locate_block(cut: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find (pixels before the first whole block, blocks before it, broken ones too) after a cut."""
    return -cut % 8, -(-cut // 8)


def weigh_sizes(width: int, height: int) -> list[tuple[tuple[int, int], float]]:
    """List ((width, height) before the picture was resized, share of the error), together 1.

    The width a multiple of 64, the height one of 64 or of 8, the proportions kept up to rounding.
    """
    weights = {}
    for w in range(256, 2049, 64):
        exact = height * w / width
        for h in (round(exact / 64) * 64, round(exact / 8) * 8):
            near = abs(h - exact) <= max(2, w / width + 0.5) and (w, h) != (width, height)
            if near and MIN_AREA <= w * h <= LARGEST and width / ENLARGED <= w <= width * REDUCED:
                weights[w, h] = USUAL.get(w, 1) * (USUAL.get(h, 1) if h % 64 == 0 else RARE)
    total = sum(weights.values())
    return [(size, weight / total) for size, weight in sorted(weights.items())]


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
