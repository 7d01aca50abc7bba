"""Convolutions of many places by NNPACK, which torch carries: band by band, on threads of our own.

It computes six by six places of a 3x3 convolution with 64 multiplications in place of 324
(F(6x6, 3x3) of arXiv 1509.09308), and loses where there are few places, for it lays out the weights
anew each time. It takes the rows of a batch best one by one.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

TILE = 6  # places that are computed together, in each direction
POINTS = 64 * 4  # bytes of a tile's transform, of each channel
LEAST_PLACES = 48 * 48  # of a row; measured: 64x64 gain, 32x32 hardly, 16x16 lose
ROOM = 128 << 20  # bytes for the transforms of the bands that are computed at a time

_begin = threading.Lock()


def convolve(
    given: Any,
    weight: Any,
    bias: Any,
    padding: tuple[int, int],
    spread: Callable[[Callable[[Any], None], Iterable], None],
) -> Any:
    """Convolves rows (B, C, h, w) band by band; `spread` has a function called with each band."""
    rows, _, height, width = given.shape
    above, beside = padding
    high, wide = height + 2 * above - 2, width + 2 * beside - 2
    step = measure_bands(high, wide, weight, rows, torch.get_num_threads())
    given = given.detach().contiguous()  # a VAE's attention hands on channels last, of two rows
    out = given.new_empty(rows, len(weight), high, wide)
    source, target = given.numpy(), out.numpy()  # torch would copy parts on threads of its own
    whole = step >= high

    def compute(band: tuple[int, int, int]) -> None:
        row, top, bottom = band
        lines = slice(top - above, bottom - above + 2)  # of the picture, that the band depends on
        part = source[row : row + 1] if whole else cut_lines(source[row : row + 1], lines)
        with torch.inference_mode():
            made = torch._nnpack_spatial_convolution(
                torch.from_numpy(part), weight, bias, (above if whole else 0, beside), (1, 1)
            )
        target[row, :, top:bottom] = made.numpy()[0]

    spread(compute, list_bands(rows, high, step))
    return out


def cut_lines(source: np.ndarray, lines: slice) -> np.ndarray:
    """Cuts lines out of a picture (1, C, h, w); those above its first or below its last are 0."""
    one, channels, height, width = source.shape
    part = np.empty((one, channels, lines.stop - lines.start, width), source.dtype)
    top, bottom = max(lines.start, 0), min(lines.stop, height)
    part[:, :, : top - lines.start] = 0
    part[:, :, top - lines.start : bottom - lines.start] = source[:, :, top:bottom]
    part[:, :, bottom - lines.start :] = 0
    return part


def measure_bands(height: int, width: int, weight: Any, rows: int, threads: int) -> int:
    """Measures the lines of a band, whole tiles: as many bands as threads and room ask for.

    None is so small that it would lose, for the weights are laid out anew in each.
    """
    line = math.ceil(width / TILE) * sum(weight.shape[:2]) * POINTS  # bytes, of tiles
    tiles = math.ceil(height / TILE)
    most = min(math.ceil(tiles / math.ceil(threads / rows)), ROOM // threads // line)
    return max(most, math.ceil(LEAST_PLACES / width / TILE), 1) * TILE


def list_bands(rows: int, height: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Lists what is computed at a time: (row, from which line, to which)."""
    for row in range(rows):
        for top in range(0, height, step):
            yield row, top, min(top + step, height)


@functools.cache
def is_there() -> bool:
    """Tells whether torch has NNPACK here, and readies it.

    At its first call it makes threads for as many cores as torch has then, for which all lanes
    would wait in line: it is called first by one thread, and then makes none.
    """
    if not torch.backends.nnpack.is_available():
        return False
    with _begin, torch.inference_mode():
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            given, weight = torch.ones(1, 16, 12, 12), torch.ones(16, 16, 3, 3)
            torch._nnpack_spatial_convolution(given, weight, torch.zeros(16), (1, 1), (1, 1))
        except RuntimeError:  # another processor than it knows
            return False
        finally:
            torch.set_num_threads(threads)
    return True
