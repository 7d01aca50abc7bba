"""Convolutions of large pictures on a processor, with a fifth of the multiplications.

Winograd's algorithm makes six by six places of a 3x3 convolution with 64 multiplications in place
of 324 (F(6x6, 3x3) of arXiv 1509.09308). oneDNN, which torch asks first, has none in float32 for
such processors; torch carries NNPACK, which has, and asks it for nothing a network of ours needs.
It loses where there are few places, for it lays out the weights anew each time, and takes the
rows of a batch best one by one. The result is another in its last bits (by some 4e-6 of it), and
the same whatever stands beside a row in its batch and however many threads there are.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

TILE = 6  # places that are computed together, in each direction
POINTS = 64 * 4  # bytes of a tile's transform, of each channel
LEAST_PLACES = 48 * 48  # of a row; measured: 64x64 gain, 32x32 hardly, 16x16 lose
LEAST_CHANNELS = 16
ROOM = 128 << 20  # bytes for the transforms of the bands that are computed at a time

_begin = threading.Lock()


class Winograd(TorchFunctionMode):
    """Has torch compute convolutions by Winograd's algorithm while the context lasts."""

    def __init__(self) -> None:
        super().__init__()
        is_there()  # or NNPACK is not ready
        self._helpers: ThreadPoolExecutor | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.conv2d and len(args) == 7 and pays(*args):  # as modules call it
            given, weight, bias, _, padding = args[:5]
            return self._convolve(given, weight, bias, padding)
        return func(*args, **kwargs or {})

    def __exit__(self, *how: Any) -> None:
        super().__exit__(*how)
        if self._helpers:
            self._helpers.shutdown()
            self._helpers = None

    def _convolve(self, given: Any, weight: Any, bias: Any, padding: tuple[int, int]) -> Any:
        """Convolves rows (B, C, h, w) band by band, on as many threads as torch has here."""
        threads = torch.get_num_threads()
        rows, _, height, width = given.shape
        above, beside = padding
        high, wide = height + 2 * above - 2, width + 2 * beside - 2
        step = measure_bands(high, wide, weight, rows, threads)
        given = given.detach().contiguous()  # a VAE's attention hands on channels last, of two rows
        if above and step < high:
            given, above = F.pad(given, (0, 0, above, above)), 0
        out = given.new_empty(rows, len(weight), high, wide)
        source, target = given.numpy(), out.numpy()  # torch would copy parts on threads of its own

        def compute(band: tuple[int, int, int]) -> None:
            row, top, bottom = band
            part = np.ascontiguousarray(source[row : row + 1, :, top : bottom + 2 - 2 * above])
            with torch.inference_mode():
                made = torch._nnpack_spatial_convolution(
                    torch.from_numpy(part), weight, bias, (above, beside), (1, 1)
                )
            target[row, :, top:bottom] = made.numpy()[0]

        bands = list(list_bands(rows, high, step))
        if threads > 1 and len(bands) > 1:
            self._helpers = self._helpers or ThreadPoolExecutor(threads, "sdlab winograd")
            list(self._helpers.map(compute, bands))  # raises what one raised
        else:
            for band in bands:
                compute(band)
        return out


def pays(
    given: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> bool:
    """Tells whether a convolution, of `torch.conv2d`'s arguments, is one that gains."""
    plain = (
        isinstance(padding, tuple)
        and max(padding) <= 1
        and (tuple(weight.shape[2:]), stride, dilation, groups) == ((3, 3), (1, 1), (1, 1), 1)
    )
    large = given.ndim == 4 and math.prod(given.shape[2:]) >= LEAST_PLACES
    ours = given.dtype == weight.dtype == torch.float32 and given.device.type == "cpu"
    return (
        plain
        and large
        and ours
        and min(weight.shape[:2]) >= LEAST_CHANNELS
        and weight.is_contiguous()
        and not (torch.is_grad_enabled() and (given.requires_grad or weight.requires_grad))
    )


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


# Whether there is any


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
