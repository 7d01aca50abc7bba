"""Convolutions of large pictures on a processor, with a fifth of the multiplications.

Winograd's algorithm makes six by six places of a 3x3 convolution with 64 multiplications in place
of 324 (F(6x6, 3x3) of arXiv 1509.09308). oneDNN, which torch asks first, has none in float32 for
such processors; torch carries NNPACK, which has, and asks it for nothing a network of ours needs.
It loses where there are few places, for it lays out the weights anew each time, and takes the
rows of a batch best one by one. The result is another in its last bits (by some 4e-6 of it), and
the same whatever stands beside a row in its batch and however many threads there are.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from . import nnpack

LEAST_CHANNELS = 16


class Winograd(TorchFunctionMode):
    """Has torch compute convolutions by Winograd's algorithm while the context lasts."""

    def __init__(self) -> None:
        super().__init__()
        nnpack.is_there()  # or NNPACK is not ready
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
        step = nnpack.measure_bands(high, wide, weight, rows, threads)
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

        bands = list(nnpack.list_bands(rows, high, step))
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
    large = given.ndim == 4 and math.prod(given.shape[2:]) >= nnpack.LEAST_PLACES
    ours = given.dtype == weight.dtype == torch.float32 and given.device.type == "cpu"
    return (
        plain
        and large
        and ours
        and min(weight.shape[:2]) >= LEAST_CHANNELS
        and weight.is_contiguous()
        and not (torch.is_grad_enabled() and (given.requires_grad or weight.requires_grad))
    )
