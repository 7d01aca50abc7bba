"""Convolutions of few places as products of matrices, with fewer multiplications.

Winograd's algorithm (arXiv 1509.09308) turns a 3x3 convolution of small squares into as many
products of matrices as a transformed square has points: 16 for 2x2 places, F(2x2, 3x3), which is
4/9 of the multiplications, and 36 for 4x4 places, F(4x4, 3x3), which is 1/4. Here the transforms
are products too, so that torch computes all of it. Squares of four by four want more of the
weights' transform, and pay where a row has many of them.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn import functional as F

LEAST_PLACES = 16 * 16  # of a row; measured: 8x8 neither gain nor lose
PLACES_FOR_FOUR = 32 * 32  # of a row, from which squares of 4x4 pay
BLOCK = 2 << 20  # numbers of transformed weights that are computed at a time, to stay in the cache

# Of F(2x2, 3x3) and F(4x4, 3x3): what a square, a kernel and the products are multiplied with
MATRICES = {
    2: (
        ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
        ((1, 1, 1, 0), (0, 1, -1, -1)),
    ),
    4: (
        (
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        (
            (1 / 4, 0, 0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0, 0, 1),
        ),
        ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
    ),
}


def convolve(given: Any, weight: Any, bias: Any, padding: tuple[int, int]) -> Any:
    """Convolves rows (B, C, h, w) with weights (O, C, 3, 3).

    A row has the same bits whatever stands beside it; in a batch of another size, or on more
    threads, as far as torch's products have.
    """
    (above, beside), (_, _, height, width) = padding, given.shape
    high, wide = height + 2 * above - 2, width + 2 * beside - 2
    side = 4 if high * wide >= PLACES_FOR_FOUR else 2
    squares, (down, along) = transform_squares(given, padding, side, (high, wide))
    rows, outputs = len(given), len(weight)
    out = given.new_empty(rows, outputs, down * side, along * side)
    places = out.view(rows, outputs, down, side, along, side)
    step = max(BLOCK // squares.shape[0] // squares.shape[1] // 16, 1) * 16
    for first in range(0, outputs, step):
        part = slice(first, first + step)
        kernels = transform_kernels(weight[part], side)
        made = finish_squares(torch.bmm(kernels, squares), side)
        made = made.view(side, side, -1, rows, down, along).permute(3, 2, 4, 0, 5, 1)
        if bias is None:
            places[:, part] = made
        else:
            torch.add(made, bias[part].view(1, -1, 1, 1, 1, 1), out=places[:, part])
    return out[:, :, :high, :wide].contiguous()


def transform_squares(
    given: Any, padding: tuple[int, int], side: int, size: tuple[int, int]
) -> tuple[Any, tuple[int, int]]:
    """Transforms overlapping squares (points, C, squares of all rows); also how many (down, along).

    They are those that places of `size` (h, w) depend on, and what is beyond the picture is 0.
    """
    (above, beside), (rows, channels, height, width) = padding, given.shape
    down, along = (-(-each // side) for each in size)
    missing = down * side + 2 - height - above, along * side + 2 - width - beside
    given = F.pad(given, (beside, missing[1], above, missing[0]))
    row, channel, line, place = given.stride()
    points = side + 2
    squares = given.as_strided(
        (points, points, channels, rows, down, along),
        (line, place, channel, row, side * line, side * place),
    )
    made = torch.mm(get_matrices(side)[0], squares.reshape(points**2, -1))
    return made.view(points**2, channels, -1), (down, along)


def transform_kernels(weight: Any, side: int) -> Any:
    """Transforms kernels (O, C, 3, 3) for squares of so many places: (points, O, C)."""
    made = torch.mm(get_matrices(side)[1], weight.reshape(-1, 9).t())
    return made.view(-1, *weight.shape[:2])


def finish_squares(products: Any, side: int) -> Any:
    """Makes places (side * side, all others) of products (points, O, squares)."""
    return torch.mm(get_matrices(side)[2], products.view(len(products), -1))


@functools.cache
def get_matrices(side: int) -> tuple[Any, Any, Any]:
    """Gets the matrices of squares of so many places, for both directions at once."""
    made = (torch.tensor(each, dtype=torch.float64, device="cpu") for each in MATRICES[side])
    one, two, three = (torch.kron(each, each).float().contiguous() for each in made)
    return one, two, three
