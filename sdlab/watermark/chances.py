"""How likely each cut of a picture is, and each size that it had: the shares of the error."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from .dwtdct import MIN_AREA
from .places import Geometry

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
