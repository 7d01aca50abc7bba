"""What the payload of a picture may be that nobody knows."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .dwtdct import require_area
from .opening import read_pixels
from .payloads import Payload, Way, pack_bits
from .places import Blocks
from .search import score_as_is
from .statistics import FLOOR, LEAST_GAIN, NOTHING, compute_spectra, find_points, require_testable

LENGTHS = range(16, 401, 8)  # bits; whole bytes
# In which a text is read. Of uint8 in the order RGB, float32 sees nearly as much.
WAYS = (Way(), Way("float32"), Way("float32", "RGB"), Way("uint8", "RGB", "dwtDctSvd"))
# BIC; unmarked pictures with vertical edges or patterns go below, but do not spell a text
CONVINCING = -1000
LEAST = -6  # log10 p of a text that is convincing
EASY = 32, 127  # printable ASCII
# how far the bits that differ stand out, of the middle of all: on average, and each
CLEAR, LEAST_CLEAR = 0.75, 0.5


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
        Whether that is far below 0, the bytes are printable text of at least three letters, and the
        two halves of the picture agree on it. Pictures with edges and patterns can do the first,
        but hardly the others. A mark of bits that spell nothing, like SDXL's, is not convincing
        either.
    log10_p : float
        Of the chance that the lower half of an unmarked picture agrees as well with a text that is
        read in the upper half, or the upper with the lower, whichever is larger, corrected for all
        lengths and ways that were tried. 0 for what is no text.
    way : Way
        How it seems to be written.
    tests : int
        Lengths and ways that were tried.
    """

    bits: np.ndarray = field(repr=False)
    text: str
    bic: float
    convincing: bool
    log10_p: float = 0.0
    way: Way = WAYS[0]
    tests: int = 1

    def __repr__(self) -> str:
        if self.convincing:
            return (
                f"The payload reads {self.text!r}, {len(self.bits)} bits (BIC {self.bic:.0f}, p"
                f" 1e{math.ceil(self.log10_p)})."
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
    lengths = [lengths] if isinstance(lengths, int) else list(lengths)
    if not lengths or any(int(n) != n or not 8 <= n <= 1000 for n in lengths):
        raise ValueError(f"lengths={lengths!r:.60} are not whole numbers from 8 to 1000")
    return read_scored(score_as_is(pixels, WAYS), sorted({int(n) for n in lengths}))


def read_scored(scored: Mapping[Way, Blocks], lengths: Iterable[int] = LENGTHS) -> Reading:
    """Guess the payload from the scores of a picture as it is."""
    lengths = list(lengths)
    grids = np.stack([blocks.scores for blocks in scored.values()])
    bics = compute_bics(grids, lengths)
    order = np.argsort(bics, axis=None)
    found = None
    for number in order:
        i, j = np.unravel_index(number, bics.shape)
        if found is not None and bics[i, j] >= CONVINCING:
            break
        way = list(scored)[j]
        reading = _read_text(way, scored[way], lengths[i], float(bics[i, j]), bics.size)
        found = reading if found is None or reading.convincing else found
        if reading.convincing:
            break
    assert found is not None  # there is a length
    return found


def _read_text(way: Way, blocks: Blocks, n_bits: int, bic: float, tests: int) -> Reading:
    bits = drop_repeats(blocks.read(n_bits))
    raw = pack_bits(bits)
    text = raw.decode("ascii", "backslashreplace")
    # stripes spell single letters, and repeat them
    printable = len(bits) % 8 == 0 and is_easy(raw) and len(set(raw)) >= 3
    log10_p = 0.0
    if printable and bic < CONVINCING:
        log10_p = min(0.0, weigh_halves(blocks, len(bits), text) + math.log10(tests))
    return Reading(bits, text, bic, log10_p < LEAST, log10_p, way, tests)


def weigh_halves(blocks: Blocks, n_bits: int, text: str) -> float:
    """Compute log10 p of what one half spells in the other, the less certain way round."""
    halves = blocks.halve()
    if min(half.scores.size for half in halves) < n_bits:
        return 0.0
    found = []
    for here, there in (halves, halves[::-1]):
        payload = Payload(text, here.read(n_bits), text=text)
        try:
            require_testable(payload)
        except ValueError:  # as regular as stripes
            return 0.0
        found.append(there.weigh(payload))
    return max(found)


def compute_bics(grids: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """Compute the BIC of a payload of so many bits less that of none, (lengths, grids).

    Both with white noise; infinite where there is nothing to tell.
    """
    size, power = grids[0].size, (grids**2).mean((1, 2))
    energy = np.stack([_measure_energy(grids, n) for n in lengths])
    explained = energy / np.maximum(power * size, NOTHING)
    n_bits = np.array(lengths)[:, None]
    bics = size * np.log(np.maximum(1 - explained, 1e-6)) + n_bits * math.log(size)
    return np.where((power < NOTHING) | (size < 2 * n_bits), math.inf, bics)


def _measure_energy(grids: np.ndarray, n_bits: int) -> np.ndarray:
    stride = grids.shape[2] % n_bits
    spectra = compute_spectra(grids, n_bits, (stride,))[:, 0]
    return (spectra.real**2 + spectra.imag**2) @ _count_points(n_bits, stride)


@functools.lru_cache(maxsize=256)
def _count_points(n_bits: int, stride: int) -> np.ndarray:
    points = find_points(n_bits, (stride,), False)
    gain = points.gain[0]
    counts = points.weight * (gain > LEAST_GAIN) / (gain**2 + FLOOR)
    return counts.astype(np.float32)


def read_likeness(payload: Payload, blocks: Blocks | None) -> str:
    """Read the text that stands where one much like it was found; "" if that is not certain.

    Both halves of the picture have to spell it, and each bit that differs has to be as clear as the
    others.
    """
    n_bits = len(payload)
    if payload.text is None or blocks is None or blocks.scores.size < 4 * n_bits:
        return ""
    halves = np.stack([half.measure(n_bits) for half in blocks.halve()])
    bits, differs = halves > 0, (halves[0] > 0) != (payload.bits > 0)
    clear = (np.abs(halves) / np.median(np.abs(halves), 1, keepdims=True)).min(0)
    if (bits[0] != bits[1]).any() or not differs.any():
        return ""
    if clear[differs].mean() < CLEAR or clear[differs].min() < LEAST_CLEAR:
        return ""
    raw = pack_bits(bits[0])
    return raw.decode("ascii") if is_easy(raw) else ""


def is_easy(raw: bytes) -> bool:
    """Tell whether bytes are printable ASCII."""
    return all(EASY[0] <= byte < EASY[1] for byte in raw)


def drop_repeats(bits: np.ndarray) -> np.ndarray:
    """Find the shortest piece of at least 8 bits that the bits repeat."""
    pieces = (bits[:n] for n in range(8, len(bits) + 1) if len(bits) % n == 0)
    return next((piece for piece in pieces if (bits.reshape(-1, len(piece)) == piece).all()), bits)
