"""From pixels to one number a block: how much its coefficients speak for bit 1 against bit 0.

A mark moves one coefficient of a block, the largest, by up to 27 units. Two traces remain: exact
residues, until the picture is compressed, and an excess over what the surroundings predict, which
survives in part. Y and V are not marked, and where they rise U mostly rises or falls too; this is
predicted and taken off first. A small network weighs what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np

from .dwtdct import BLOCK, STEP, compute_u, convert_to_yuv, split_blocks, split_channels
from .payloads import ORDERS, Way

WINDOW = 5  # blocks; what they have in common is taken off
BOUND = 4.0  # of a score
N_FEATURES = 124
TURNS = 2  # that find a singular value; in uint8 the first is far above the others
WEIGHTS = Path(__file__).with_name("weights.npz")

# Linux's malloc gives memory back after every large array, and fetching it again takes as long as
# the arithmetic. It keeps what is as large as the largest block freed so far (32 MB at most), so
# one such block, never touched, halves the time.
np.empty((32 << 20) - 8192, np.uint8)


def score_way(image: np.ndarray, way: Way) -> np.ndarray:
    """Score every whole block of a uint8 RGB picture for marks that are written in one way."""
    return score_ways(image, [way])[way]


def score_ways(
    image: np.ndarray, ways: Iterable[Way], notice: Callable[[], object] = bool
) -> dict[Way, np.ndarray]:
    """Score every whole block for each way; what they have in common is computed once."""
    channels = np.ascontiguousarray(image.transpose(2, 0, 1))
    averages = cache(lambda: average_cells(channels))  # float32 alone needs them
    scored = {}
    for way in dict.fromkeys(ways):
        notice()
        if way.arithmetic == "float32":
            scored[way] = score_averages(convert_averages(averages(), way.order), *way[::2])
        elif way.method == "dwtDct":
            planes = make_planes(channels.transpose(1, 2, 0), way.arithmetic, way.order)
            scored[way] = score_blocks(planes, way.arithmetic, way.method)
        else:  # U alone
            split = split_channels(channels.transpose(1, 2, 0), way.arithmetic, way.order)
            scored[way] = score_blocks(compute_u(*split), way.arithmetic, way.method)
    return scored


def convert_averages(channels: np.ndarray, order: str) -> np.ndarray:
    """Make the Haar averages of Y, U and V in float32 from those of red, green and blue.

    All of it is linear, so a quarter of the numbers will do; the last bits are not exact.
    """
    blue, green, red = (channels[channel] for channel in ORDERS[order])
    return convert_in_float32(blue, green, red, np.float32(1))  # twice 0.5, as half the sum of four


def convert_in_float32(
    blue: np.ndarray, green: np.ndarray, red: np.ndarray, middle: np.float32
) -> np.ndarray:
    """Make Y, U and V in float32, U and V of grey at the middle."""
    y = blue * np.float32(0.114) + green * np.float32(0.587) + red * np.float32(0.299)
    u, v = (blue - y) * np.float32(0.492), (red - y) * np.float32(0.877)
    return np.stack([y, u + middle, v + middle])


def score_blocks(planes: np.ndarray, arithmetic: str, method: str = "dwtDct") -> np.ndarray:
    """Score every whole block of a picture: above 0 speaks for bit 1, below for bit 0.

    Parameters
    ----------
    planes : float32 array (3, H, W) or (H, W)
        Y, U and V as `make_planes` makes them, or U alone, which finds less under JPEG. The first
        pixel is the corner of a block: cut the planes, ``planes[..., top:, left:]``, to try another
        place.
    arithmetic : str
        "uint8" (U is centred at 128) or "float32" (at 0.5), as the planes were made.
    method : {"dwtDct", "dwtDctSvd"}

    Returns
    -------
    float32 array (H // 8, W // 8), bounded. What the blocks around have in common is taken off.
    """
    return score_averages(average_cells(np.atleast_3d(planes.T).T), arithmetic, method)


def score_averages(averages: np.ndarray, arithmetic: str, method: str) -> np.ndarray:
    """Score the blocks of Haar averages (3, rows * 4, columns * 4), or (1, ...) of U alone."""
    rows, columns = averages.shape[-2] // BLOCK, averages.shape[-1] // BLOCK
    if not rows or not columns:
        return np.zeros((rows, columns), np.float32)
    if method == "dwtDctSvd":
        scores = score_values(averages)
    else:
        scores = run_network(compute_features(averages, arithmetic))
    return subtract_local_mean(scores.reshape(rows, columns))


def make_planes(image: np.ndarray, arithmetic: str, order: str = "BGR") -> np.ndarray:
    """Make Y, U and V of a uint8 RGB picture as the embedding program's arithmetic has them.

    U alone carries a mark; the other two say what the picture itself does. In float32 the last bits
    are not exact.
    """
    blue, green, red = (np.ascontiguousarray(image[..., channel]) for channel in ORDERS[order])
    if arithmetic == "uint8":
        return np.stack(convert_to_yuv(blue, green, red))
    return convert_in_float32(blue, green, red, np.float32(0.5))


def score_values(averages: np.ndarray) -> np.ndarray:
    """Score the blocks for `dwtDctSvd`, (blocks,): a sine that is -1 at residue 9 and 1 at 27.

    The largest singular value of a block stands out so clearly that nothing else need be known.
    """
    blocks = split_blocks(averages[len(averages) // 2])  # of U
    cells = np.ascontiguousarray(blocks.T.reshape(4, 4, -1))
    return -np.sin(2 * np.pi / STEP * find_largest_values(cells)).astype(np.float32)


def find_largest_values(cells: np.ndarray) -> np.ndarray:
    """Find the largest singular value of each matrix (4, 4, blocks), by repeated multiplication."""
    vector = np.ones(cells.shape[1:], np.float32) + np.float32(0.01) * np.arange(4)[:, None]
    for _ in range(TURNS):
        vector = np.einsum("ijn,in->jn", cells, np.einsum("ijn,jn->in", cells, vector))
        vector /= np.sqrt((vector * vector).sum(0)) + np.float32(1e-20)
    return np.sqrt((np.einsum("ijn,jn->in", cells, vector) ** 2).sum(0))


# Features


def compute_features(averages: np.ndarray, arithmetic: str) -> np.ndarray:
    """Compute what the network sees of each block, float32 (N_FEATURES, blocks).

    64: excess of the 8x8 coefficients around the block's centre. 20: of the ring of 2x2 cells
    around those. 15: excess of the block's own, where they are nearly the largest. 15: how nearly.
    7: the block as a whole. 3: the picture as a whole.
    """
    signed = stack_coefficients(averages[len(averages) // 2])  # of U
    value, sign = np.abs(signed[1:]), np.where(signed[1:] < 0, np.float32(-1), np.float32(1))
    first, second = find_two_largest(value)
    # the sign of the largest
    turn = np.where((signed[1:] == -first).any(0), np.float32(-1), np.float32(1))
    excess = subtract_prediction(averages)
    patch = gather_surroundings(excess.reshape(4, 4, *first.shape))
    # how far each stands out from its 8 neighbours
    sharp = patch[2:6, 2:6] * np.float32(9 / 8) - sum_3x3(patch) * np.float32(1 / 8)
    sharp = sharp.reshape(excess.shape)
    scale, sharp_scale = estimate_spread(excess), estimate_spread(sharp)
    near = np.maximum(1 - (first - value) / 27, 0)

    features = np.empty((N_FEATURES, *first.shape), np.float32)
    unit = turn / scale
    around = features[:64].reshape(patch.shape)
    np.clip(np.multiply(patch, unit, out=around), -4, 4, out=around)
    features[64:84] = np.clip(gather_ring(excess) * unit, -4, 4)
    features[84:99] = around[2:6, 2:6].reshape(excess.shape)[1:] * near * (sign * turn)
    features[99:114] = near
    whole = (
        compute_likelihood_ratio(value, sign * sharp[1:], sharp_scale, first, second),
        first % STEP / 18 - 1,
        second % STEP / 18 - 1,
        np.minimum(first - second, 27) / 27,
        np.log(scale),
        np.minimum(first / 72, 1),
        arithmetic == "float32",
        np.abs(np.abs(first % STEP - 18) - 9).mean() / 9 - 0.5,  # -0.5: all residues are 9 or 27
        np.log(sharp_scale).mean(),
        np.log(sharp_scale / scale).mean(),
    )
    for i, feature in enumerate(whole, 114):
        features[i] = feature
    return features.reshape(N_FEATURES, -1)


def average_cells(planes: np.ndarray) -> np.ndarray:
    """Compute the Haar average, half the sum of each 2x2 cell, (..., H // 8 * 4, W // 8 * 4)."""
    height, width = planes.shape[-2] // 8 * 8, planes.shape[-1] // 8 * 8
    wide = np.uint16 if planes.dtype == np.uint8 else planes.dtype
    rows = np.add(planes[..., 0:height:2, :width], planes[..., 1:height:2, :width], dtype=wide)
    return (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.5)


def subtract_prediction(averages: np.ndarray) -> np.ndarray:
    """Subtract from U its 9x9 mean, and what Y and V explain there, (16, rows, columns).

    Least squares over the 3x3 blocks around each block; a little of the power of Y and V is added
    so that flat ones explain nothing.
    """
    detail = averages - average_9x9(averages)
    if len(detail) == 1:
        return stack_coefficients(detail[0])
    y, u, v = (stack_coefficients(plane) for plane in detail)
    products = [np.einsum("kij,kij->ij", a, b) for a, b in ((y, y), (v, v), (y, v), (u, y), (u, v))]
    yy, vv, yv, uy, uv = average_box(np.stack(products), 3)
    yy, vv = yy + 32, vv + 32
    determinant = yy * vv - yv * yv
    return u - (vv * uy - yv * uv) / determinant * y - (yy * uv - yv * uy) / determinant * v


def gather_surroundings(cells: np.ndarray) -> np.ndarray:
    """Gather each block's cells (n, n, ...) with two more on each side, (n + 4, n + 4, ...).

    Beyond the border they are 0.
    """
    n, (rows, columns) = len(cells), cells.shape[2:]
    padded = np.pad(cells, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patch = np.empty((n + 4, n + 4, rows, columns), np.float32)
    for i in range(-2, n + 2):
        for j in range(-2, n + 2):
            top, left = 1 + i // n, 1 + j // n
            patch[i + 2, j + 2] = padded[i % n, j % n, top : top + rows, left : left + columns]
    return patch


def gather_ring(coefficients: np.ndarray) -> np.ndarray:
    """Gather the 20 cells of 2x2 coefficients around the 8x8 about each block's centre."""
    pairs = coefficients.reshape(2, 2, 2, 2, *coefficients.shape[1:])
    cells = gather_surroundings(
        (pairs[:, 0, :, 0] + pairs[:, 0, :, 1] + pairs[:, 1, :, 0] + pairs[:, 1, :, 1]) / 4
    )
    return np.concatenate([cells[0], cells[1:5, 0], cells[1:5, 5], cells[5]])


def estimate_spread(coefficients: np.ndarray) -> np.ndarray:  # of a logistic law, in 3x3 blocks
    return average_box(np.abs(coefficients).sum(0), 3) * np.float32(0.7 / 16) + np.float32(0.5)


def find_two_largest(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the largest and second largest along the first axis; equal for a tie."""
    first, second = np.maximum(value[0], value[1]), np.minimum(value[0], value[1])
    for other in value[2:]:
        second = np.maximum(second, np.minimum(first, other))
        first = np.maximum(first, other)
    return first, second


def compute_likelihood_ratio(
    value: np.ndarray, outward: np.ndarray, scale: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Weigh bit 1 against bit 0 (log likelihoods): which coefficient was moved, and where to?

    Takes arrays (15, rows, columns). A coefficient that was moved lay in its cell of 36, at most a
    little below the largest other; one that was not lies near its neighbours. The moved one has
    residue 9 or 27, give or take 8.
    """
    expected, cell = value - outward, np.floor(value / STEP) * STEP
    residue = value - cell
    low = np.maximum(cell, np.where(value >= first, second, first) - 4)
    chosen = np.maximum(
        _compute_logistic((cell + STEP - expected) / scale)
        - _compute_logistic((low - expected) / scale),
        0,
    )
    here = _compute_logistic(np.clip(outward / scale, -15, 15))
    moved = chosen / (here * (1 - here)) * scale / 20
    zero, one = ((moved * np.exp((residue - target) ** 2 / -128)).sum(0) for target in (9, 27))
    return np.clip(np.log((0.8 * one + 0.2) / (0.8 * zero + 0.2)), -6, 6)


def _compute_logistic(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -40, 40)))


# The network


def run_network(features: np.ndarray) -> np.ndarray:
    """Compute the scores (blocks,) of features (features, blocks)."""
    *hidden, (matrix, offset) = load_weights()
    for inner, bias in hidden:
        features = inner @ features + bias[:, None]
        np.maximum(features, 0, out=features)
    return np.float32(BOUND) * np.tanh((matrix @ features + offset[:, None])[0] / np.float32(BOUND))


@cache
def load_weights() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Load the layers of the network, (matrix, offset) each, float32."""
    with np.load(WEIGHTS, allow_pickle=False) as file:
        return tuple(
            (file[f"matrix{i}"].astype(np.float32), file[f"offset{i}"].astype(np.float32))
            for i in range(len(file.files) // 2)
        )


# Planes and blocks


def subtract_local_mean(grid: np.ndarray) -> np.ndarray:
    """Subtract from `grid` the mean of the other cells in a window."""
    return (grid - average_box(grid, WINDOW)) * np.float32(WINDOW**2 / (WINDOW**2 - 1))


def average_box(grids: np.ndarray, size: int) -> np.ndarray:
    """Average each grid (..., rows, columns) over a size x size window, the border mirrored."""
    beside = [(0, 0)] * (grids.ndim - 2)
    for _ in range(2):  # along the rows, then (transposed) along the columns
        padded = np.pad(grids, [*beside, (size // 2, size // 2), (0, 0)], "symmetric")
        rows = grids.shape[-2]
        total = np.asarray(sum(padded[..., i : i + rows, :] for i in range(size)))
        grids = total.swapaxes(-1, -2) / np.float32(size)
    return grids


def average_9x9(planes: np.ndarray) -> np.ndarray:
    """Average over a 9x9 window of each plane, the border mirrored: thrice three, each way."""
    for _ in range(2):
        padded = np.pad(planes, ((0, 0), (4, 4), (0, 0)), "symmetric")
        three = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
        planes = ((three[:, :-6] + three[:, 3:-3] + three[:, 6:]) * np.float32(1 / 9)).swapaxes(
            1, 2
        )
    return planes


def sum_3x3(patch: np.ndarray) -> np.ndarray:  # around the inner 4x4 of (8, 8, ...)
    rows = patch[1:5] + patch[2:6] + patch[3:7]
    return rows[:, 1:5] + rows[:, 2:6] + rows[:, 3:7]


def stack_coefficients(average: np.ndarray) -> np.ndarray:
    """Stack the 4x4 blocks of the Haar average by coefficient, (16, rows, columns)."""
    rows, columns = average.shape[0] // BLOCK, average.shape[1] // BLOCK
    return (
        average.reshape(rows, BLOCK, columns, BLOCK)
        .transpose(1, 3, 0, 2)
        .reshape(16, rows, columns)
    )
