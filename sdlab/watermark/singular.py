"""The blocks of `dwtDctSvd`: the largest singular value of a 4x4 block's DCT carries the bit.

An orthonormal DCT leaves singular values as they are, but for the last bits; it is done here all
the same, in OpenCV's order of operations, because flat and striped blocks stand exactly on the
border of a step, where the last bits decide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

COS, SIN = 0.92387953251128675613, 0.38268343236508977173  # of pi / 8
ROOT = 0.70710678118654752440
FORWARD, INVERSE = 2 * 0.353553390593273762200422181052425, 0.353553390593273762200422181052425


def compute_largest_values(blocks: np.ndarray) -> np.ndarray:
    """One for each block (n_blocks, 16)."""
    return np.linalg.svd(_transform_both_ways(_transform_cosine, blocks))[1][
        :, 0
    ]  # with the vectors: LAPACK's other routine rounds differently


def replace_largest_values(
    blocks: np.ndarray, target: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The blocks (n_blocks, 16) with `target(size)` in place of their largest singular value."""
    left, sizes, right = np.linalg.svd(_transform_both_ways(_transform_cosine, blocks))
    sizes[:, 0] = target(sizes[:, 0])
    return _transform_both_ways(_invert_cosine, left @ (sizes[:, :, None] * right)).reshape(
        blocks.shape
    )


def _transform_both_ways(
    transform: Callable[[np.ndarray], np.ndarray], blocks: np.ndarray
) -> np.ndarray:
    """The transform of the rows, then of the columns, (n_blocks, 4, 4)."""
    rows = transform(blocks.reshape(-1, 4, 4))
    return transform(rows.swapaxes(1, 2)).swapaxes(1, 2)


def _transform_cosine(x: np.ndarray) -> np.ndarray:
    """The orthonormal DCT along the last axis, of length 4."""
    x0, x1, x2, x3 = np.moveaxis(x, -1, 0)
    even, odd, outer, inner = x0 + x3, x2 + x1, x0 - x3, x1 - x2
    re, im = FORWARD * COS, FORWARD * SIN
    middle = FORWARD * COS * COS - FORWARD * SIN * SIN
    return np.stack(
        [
            (even + odd) * FORWARD * ROOT,
            re * outer + im * inner,
            (even - odd) * middle,
            im * outer - re * inner,
        ],
        -1,
    )


def _invert_cosine(y: np.ndarray) -> np.ndarray:
    y0, y1, y2, y3 = np.moveaxis(y, -1, 0)
    re, im = INVERSE * COS, INVERSE * SIN
    middle = INVERSE * COS * COS - INVERSE * SIN * SIN
    first, second = y0 * 2 * INVERSE * ROOT, y2 * 2 * middle
    outer, inner = (re * y1 + im * y3) * 2, (im * y1 - re * y3) * 2
    return np.stack(
        [
            first + second + outer,
            first - second + inner,
            first - second - inner,
            first + second - outer,
        ],
        -1,
    )
