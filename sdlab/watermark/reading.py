"""What the payload of a picture may be that nobody knows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .dwtdct import require_area
from .opening import read_pixels
from .payloads import ARITHMETICS, pack_bits
from .scores import make_planes, score_blocks
from .search import take_middle_rows
from .statistics import FLOOR, LEAST_GAIN, NOTHING, compute_spectra, find_points, read_bits

LENGTHS = range(16, 401, 8)  # bits; whole bytes
# BIC; unmarked pictures with vertical edges or patterns go below, but do not spell a text
CONVINCING = -1000
EASY = 32, 127  # printable ASCII


@dataclass(frozen=True, eq=False)
class Reading:
    """What an unknown payload may be: a clue, not a test.

    Attributes
    ----------
    bits : bool array (n_bits,)
        Repeats are left out: SDV2SDV2 is SDV2.
    text : str
        The bytes of the bits as ASCII, unprintable ones escaped.
    bic : float
        The Bayesian information criterion of "a payload of this length" less that of "no payload".
    convincing : bool
        Whether that is far below 0 and the bytes are printable text of at least three letters.
        Pictures with edges and patterns can do the first, but hardly the second. A mark of bits
        that spell nothing, like SDXL's, is not convincing either.
    """

    bits: np.ndarray = field(repr=False)
    text: str
    bic: float
    convincing: bool

    def __repr__(self) -> str:
        if self.convincing:
            return (
                f"The payload reads {self.text!r}, {len(self.bits)} bits (BIC {self.bic:.0f}). A"
                " clue, not a test."
            )
        return (
            f"Nothing convincing; the best guess is {len(self.bits)} bits,"
            f" {''.join(str(int(bit)) for bit in self.bits)} (BIC {self.bic:.0f})."
        )


def read_unknown(image: Any, lengths: Iterable[int] = LENGTHS) -> Reading:
    """Guess the payload of a picture that was neither cut nor resized.

    For every length it compares "each bit has its own mean score" with "no mark" and takes the
    length with the least BIC.

    Parameters
    ----------
    image : path, PIL image or uint8 array (H, W, 3)
        RGB; at least 65,536 pixels.
    lengths : ints
        In bits, 8 to 1000. Whole bytes are searched by default, since most payloads are texts.

    Raises
    ------
    TypeError, ValueError, OSError
        For an image that cannot be read or is too small, and for impossible lengths.
    """
    pixels = require_area(read_pixels(image))
    width = pixels.shape[1]
    lengths = [lengths] if isinstance(lengths, int) else list(lengths)
    if not lengths or any(int(n) != n or not 8 <= n <= 1000 for n in lengths):
        raise ValueError(f"lengths={lengths!r:.60} are not whole numbers from 8 to 1000")
    top, band = take_middle_rows(pixels)
    grids = [np.asarray(score_blocks(make_planes(band, a), a), float) for a in ARITHMETICS]
    bic, n_bits, i = min(
        (compute_bic(grid, n), n, i)
        for i, grid in enumerate(grids)
        for n in sorted({int(n) for n in lengths})
    )
    bits = drop_repeats(read_bits(grids[i], n_bits, width // 8, -(width // 8) * (top // 8)))
    raw = pack_bits(bits)
    printable = len(bits) % 8 == 0 and all(EASY[0] <= byte < EASY[1] for byte in raw)
    printable &= len(set(raw)) >= 3  # stripes spell single letters, and repeat them
    return Reading(
        bits, raw.decode("ascii", "backslashreplace"), bic, bic < CONVINCING and printable
    )


def compute_bic(grid: np.ndarray, n_bits: int) -> float:
    """Compute the BIC of a payload of n_bits bits less that of none; both with white noise."""
    power = float((grid**2).mean())
    if power < NOTHING or grid.size < 2 * n_bits:
        return math.inf
    points = find_points(n_bits, (grid.shape[1] % n_bits,), False)
    gain = points.gain[0]
    counts = points.weight * (gain > LEAST_GAIN) / (gain**2 + FLOOR)
    explained = (
        counts * np.abs(compute_spectra(grid, n_bits, (grid.shape[1] % n_bits,))[0]) ** 2
    ).sum() / (power * grid.size)
    return grid.size * math.log(max(1 - explained, 1e-6)) + n_bits * math.log(grid.size)


def drop_repeats(bits: np.ndarray) -> np.ndarray:
    """Find the shortest piece of at least 8 bits that the bits repeat."""
    pieces = (bits[:n] for n in range(8, len(bits) + 1) if len(bits) % n == 0)
    return next((piece for piece in pieces if (bits.reshape(-1, len(piece)) == piece).all()), bits)
