"""How likely a picture without a mark would agree with a payload as well, from its block scores.

Block (row, column) carries bit (stride * row + column - phase) mod n_bits, where the stride is the
number of blocks in a row of the picture that was marked. The scores of one bit add up to the
*fold*, and the spectrum of the fold is the spectrum of the grid at n_bits points, (stride * k, k) /
n_bits cycles a block; a phase turns it. Three facts make a sharp test of it:

- The removal of the local mean multiplies signal and noise at each point by a known gain. Both are
  divided by it, so that no signal is lost where equal bits stand in columns (a stride of 0).
- Letters share a pattern with a period of 8 bits, and pictures often have a period of 64 pixels.
  For texts these points count for nothing.
- The points beside, a cycle or two a picture further along the row, carry no payload but the same
  picture content, edges that run down the whole picture too. They say how strong the noise is,
  which the fold of a short payload cannot (32 numbers, and the payload is in them). This is the
  moderated t of Smyth (2004, doi:10.2202/1544-6115.1027): the two estimates of the variance are
  averaged, weighted with their degrees of freedom.

Measured on 2,600 unmarked tiles of 512x512 with 10,000 random keys of each of six shapes (texts and
bits, 32 to 224 bits): of 26 million tests a shape, p < 1e-3, 1e-4, 1e-5 and 1e-6 come 0.74 to 0.89,
0.69 to 0.89, 0.61 to 1.02 and 0.31 to 1.00 times as often as they say. The evidence that 32 bits
can give is no longer capped: a clean `SDV2` reaches 1e-30 and beyond.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from .payloads import Payload
from .scores import WINDOW

PERIOD = 8  # bits
# of the noise, in units of white noise, where the removal of the mean leaves nothing of a wave
FLOOR = 0.08
LEAST_GAIN = 0.1  # below it a point counts for nothing
BESIDE = (-2, -1, 1, 2)  # cycles a picture; also half-way to the next point in the row
# cycles a picture, at least, between a point beside and every point that carries the payload
APART = 0.8
MOST_IN_A_WAVE = 0.4  # of a payload's power, in a single wave
# degrees of freedom of the points beside, fewer than they have: noise is not the same everywhere
PRIOR = 16
# a fold so many times as strong as the points beside says that they do not tell its noise, as in a
# wallpaper
ALIKE = 3
LEAST_FREEDOM = 5  # real numbers; a shorter payload is no evidence
NOTHING = 1e-9  # mean square of the scores of a blank picture
# log(tan(angle / 2)), where the table behind `compute_log10_tail` has its rows
HALVES = np.linspace(-40, 4, 8801)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)  # for integrals from -1 to 1


@dataclass(frozen=True, eq=False)
class Points:
    """The points of the spectrum that a payload of n_bits bits occupies, for several strides.

    Attributes
    ----------
    gain : array (n_strides, n_bits // 2 + 1)
        What the removal of the local mean leaves of a wave.
    scale : array of the same shape
        Makes the noise white; 0 at points that do not count.
    weight : array (n_bits // 2 + 1,)
        2 for a point that stands for its mirror image too, else 1.
    freedom : array (n_strides,)
        Real numbers in the points that count.
    """

    gain: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    freedom: np.ndarray


@dataclass(frozen=True, eq=False)
class Folds:
    """Grids folded at several strides; leading axes (...) are those of the grids.

    Attributes
    ----------
    points : Points
    spectra : complex array (..., n_strides, n_bits // 2 + 1)
        White: without a mark every point that counts has the same expected square.
    beside : array (..., n_strides)
        Mean square of the points beside, in the same unit; 0 where there are none.
    prior : array (n_strides,)
        Degrees of freedom that `beside` is worth.
    """

    points: Points
    spectra: np.ndarray
    beside: np.ndarray
    prior: np.ndarray

    @property
    def energy(self) -> np.ndarray:
        return (self.points.weight * np.abs(self.spectra) ** 2).sum(-1)

    def compute_agreements(self, bits: np.ndarray) -> np.ndarray:
        """Multiply the folds with the unit payload at every phase, (..., n_strides, n_bits)."""
        wanted = whiten_payload(bits, self.points)
        return np.fft.irfft(self.spectra * wanted.conj(), len(bits)) * len(bits)

    def compute_log10_p(self, agreement: np.ndarray) -> np.ndarray:
        """Compute log10 p of agreements (..., n_strides, any number)."""
        left = np.maximum(self.energy[..., None] - agreement**2, 0)
        freedom, beside = self.points.freedom[:, None] - 1, self.beside[..., None]
        prior = np.where(left > ALIKE * freedom * beside, 0, self.prior[:, None])
        tail = compute_log10_tail(agreement, left + prior * beside, freedom + prior)
        return np.where(self.energy[..., None] > NOTHING * self.points.freedom[:, None], tail, 0.0)


@functools.lru_cache(maxsize=256)
def find_points(n_bits: int, strides: tuple[int, ...], text: bool) -> Points:
    """Find the points for a payload's length; `text` leaves out those with letters' period."""
    k = np.arange(n_bits // 2 + 1)
    gain = compute_gain(np.outer(strides, k) / n_bits, k / n_bits)
    counts = (gain > LEAST_GAIN) & (k * (PERIOD if text else 1) % n_bits > 0)
    weight = np.where((k == 0) | (2 * k == n_bits), 1.0, 2.0)
    return Points(gain, counts / np.sqrt(gain**2 + FLOOR), weight, (counts * weight).sum(1))


def compute_gain(down: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Compute what the removal of the local mean leaves of a wave of so many cycles a block."""
    return (1 - _average_wave(down) * _average_wave(along)) * (WINDOW**2 / (WINDOW**2 - 1))


def _average_wave(cycles: np.ndarray) -> np.ndarray:  # in units of the wave at its middle
    cells = range(-(WINDOW // 2), WINDOW // 2 + 1)
    return np.asarray(sum(np.cos(2 * np.pi * i * cycles) for i in cells)) / WINDOW


def whiten_payload(bits: np.ndarray, points: Points) -> np.ndarray:
    """Compute a payload's white spectra of length 1, (..., n_strides, n_bits // 2 + 1)."""
    spectra = np.fft.rfft(np.asarray(bits, float) - 0.5)[..., None, :] * points.gain * points.scale
    length = np.sqrt((points.weight * np.abs(spectra) ** 2).sum(-1, keepdims=True))
    return spectra / np.maximum(length, 1e-12)


def fold_grids(grids: np.ndarray, n_bits: int, strides: tuple[int, ...], text: bool) -> Folds:
    """Fold grids (..., rows, columns) at every stride, and measure the noise beside."""
    points = find_points(n_bits, strides, text)
    waves, number = find_points_beside(n_bits, strides, text, *grids.shape[-2:])
    total = np.zeros((*grids.shape[:-2], len(strides)))
    for along, counts in waves:
        total += (counts * np.abs(compute_spectra(grids, n_bits, strides, along)) ** 2).sum(-1)
    spectra = points.scale * compute_spectra(grids, n_bits, strides)
    return Folds(
        points,
        spectra,
        total / np.maximum(number * points.freedom, 1),
        np.where(number > 0, PRIOR, 0.0),
    )


@functools.lru_cache(maxsize=256)
def find_points_beside(
    n_bits: int, strides: tuple[int, ...], text: bool, rows: int, columns: int
) -> tuple[list[tuple[float, np.ndarray]], np.ndarray]:
    """Find the steps to the points beside, what each counts, and the steps of each stride."""
    points, k = find_points(n_bits, strides, text), np.arange(n_bits // 2 + 1)
    waves, number = [], np.zeros(len(strides))
    for step in (*BESIDE, columns / n_bits / 2):
        usable = _lie_apart(n_bits, strides, (rows, columns), step)
        gain = compute_gain(np.outer(strides, k) / n_bits, k / n_bits + step / columns)
        counts = usable[:, None] * (points.scale > 0) * points.weight / (gain**2 + FLOOR)
        waves += [(step / columns, counts)] * bool(usable.any())
        number += usable
    return waves, number


def compute_spectra(
    grids: np.ndarray, n_bits: int, strides: tuple[int, ...], along: float = 0.0
) -> np.ndarray:
    """Compute the fold's spectrum for every stride, (..., n_strides, n_bits // 2 + 1).

    `along` cycles a block beside; complex.

    A row of blocks begins `stride` bits after the row above, which turns its spectrum. White scores
    of variance 1 give a mean square of 1 at every point.
    """
    *_, rows, columns = grids.shape
    straight = strides == (columns % n_bits,)  # then bits follow one another from row to row
    if along:
        grids = grids * _make_wave(along, columns).astype(np.result_type(grids, np.complex64))
    if straight:
        once = _sum_in_turn(grids.reshape(*grids.shape[:-2], -1), n_bits)
        spectra = (np.fft.fft(once) if along else np.fft.rfft(once))[..., None, :]
        return spectra[..., : n_bits // 2 + 1] / math.sqrt(rows * columns)
    padded = np.pad(grids, [(0, 0)] * (grids.ndim - 1) + [(0, -columns % n_bits)])
    once = padded.reshape(*grids.shape[:-1], -1, n_bits).sum(-2)  # (..., rows, n_bits)
    spectra = (np.fft.fft(once) if along else np.fft.rfft(once))[..., : n_bits // 2 + 1]
    flat = spectra.reshape(-1, rows, n_bits // 2 + 1).transpose(2, 0, 1)  # (points, grids, rows)
    turned = flat @ _compute_turns(n_bits, strides, rows).astype(
        spectra.dtype
    )  # (points, grids, strides)
    return turned.transpose(1, 2, 0).reshape(*grids.shape[:-2], len(strides), -1) / math.sqrt(
        rows * columns
    )


@functools.lru_cache(maxsize=1024)
def _make_wave(along: float, columns: int) -> np.ndarray:
    return np.exp(-2j * np.pi * along * np.arange(columns))


def _sum_in_turn(scores: np.ndarray, n_bits: int) -> np.ndarray:
    """Sum scores (..., blocks) of the same bit, (..., n_bits)."""
    whole = scores.shape[-1] // n_bits * n_bits
    total = scores[..., :whole].reshape(*scores.shape[:-1], -1, n_bits).sum(-2)
    total[..., : scores.shape[-1] - whole] += scores[..., whole:]
    return total


@functools.lru_cache(maxsize=16)
def _compute_turns(n_bits: int, strides: tuple[int, ...], rows: int) -> np.ndarray:
    """Compute how each row is turned, (points, rows, strides)."""
    cycles = (
        np.arange(n_bits // 2 + 1)[:, None, None] * np.arange(rows)[:, None] * np.array(strides)
    )
    return np.exp(-2j * np.pi / n_bits * np.arange(n_bits))[cycles % n_bits]


def _lie_apart(
    n_bits: int, strides: tuple[int, ...], shape: tuple[int, int], step: float
) -> np.ndarray:
    """Tell for each stride whether points `step` cycles a picture on lie far enough apart."""
    k = np.arange(n_bits)
    down = _wrap_cycles(np.outer(strides, k) / n_bits) * shape[0]
    along = _wrap_cycles(k / n_bits - step / shape[1]) * shape[1]
    return np.hypot(down, along).min(1) >= APART


def _wrap_cycles(cycles: np.ndarray) -> np.ndarray:  # to -1/2..1/2, the same wave
    return (cycles + 0.5) % 1 - 0.5


def compute_log10_tail(agreement: np.ndarray, left: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Compute log10 of Student's chance of t >= agreement / sqrt(left / freedom), to -300.

    With t = sqrt(freedom) / tan(angle) it is the integral of sin(x)^(freedom - 1) from 0 to the
    angle, divided by that from 0 to pi.
    """
    agreement, left, freedom = np.broadcast_arrays(agreement, left, freedom)
    half = np.log(
        np.maximum(np.sqrt(left), 1e-300)
        / np.maximum(np.hypot(np.sqrt(left), agreement) + agreement, 1e-300)
    )
    result = np.empty(half.shape)
    for value in np.unique(freedom):
        of = freedom == value
        result[of] = np.interp(half[of], HALVES, _tabulate_tails(float(value)))
    return result


@functools.lru_cache(maxsize=64)
def _tabulate_tails(freedom: float) -> np.ndarray:  # at `HALVES`
    return _integrate_log10(2 * np.arctan(np.exp(HALVES)), freedom) - _integrate_log10(
        np.array([np.pi]), freedom
    )


def _integrate_log10(angle: np.ndarray, freedom: float) -> np.ndarray:
    logs = (freedom - 1) * np.log(np.sin(angle[:, None] * (NODES + 1) / 2))
    largest = logs.max(1)
    return (largest + np.log(angle / 2 * (np.exp(logs - largest[:, None]) @ WEIGHTS))) / math.log(
        10
    )


def weigh_folds(folds: Folds, payload: Payload, phase: int = 0) -> float:
    """Compute log10 p of a payload from one grid that is folded at its stride."""
    agreement = folds.compute_agreements(payload.bits)[:, [phase % len(payload)]]
    return min(0.0, float(folds.compute_log10_p(agreement)[0, 0]))


def measure_bits(
    grid: np.ndarray, n_bits: int, stride: int | None = None, phase: int = 0
) -> np.ndarray:
    """Measure how clearly each bit of a payload is 1, or 0 where that is negative, (n_bits,)."""
    stride = (grid.shape[1] if stride is None else stride) % n_bits
    gain = find_points(n_bits, (stride,), False).gain[0]
    spectrum = (
        compute_spectra(np.asarray(grid, float), n_bits, (stride,))[0] * gain / (gain**2 + FLOOR)
    )
    return np.roll(np.fft.irfft(spectrum, n_bits), -phase)


def is_text(payload: Payload) -> bool:
    return payload.text is not None and len(payload) % PERIOD == 0


def require_testable(payload: Payload) -> None:
    """Refuse a payload that is too short to tell from noise, or as regular as stripes."""
    text, n_bits = is_text(payload), len(payload)
    if n_bits - (PERIOD if text else 1) < LEAST_FREEDOM:
        raise ValueError(
            f"payload {payload.name!r:.60}: {n_bits} bits are too few to tell from noise; "
            "a text needs 2 letters, other bits at least 6"
        )
    k = np.arange(n_bits // 2 + 1)
    waves = np.abs(np.fft.rfft(payload.bits - 0.5)) ** 2 * np.where(2 * k == n_bits, 1, 2)
    waves[k * (PERIOD if text else 1) % n_bits == 0] = 0
    if waves.max() > MOST_IN_A_WAVE * waves.sum() or waves.sum() < NOTHING:
        raise ValueError(
            f"payload {payload.name!r:.60}: its bits repeat so regularly that stripes in a picture"
            " cannot be told from it; take a longer text of different letters"
        )
