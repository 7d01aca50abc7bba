"""3x3 convolutions on a processor with fewer multiplications, by Winograd's algorithm.

oneDNN, which torch asks first, has none in float32 for such processors. Where a row has many
places, torch's NNPACK computes it (`nnpack`), which torch asks for nothing that a network of ours
needs; where it has few and many channels, products of matrices do (`products`). The result is
another in its last bits (by some 4e-6 of it), and the same whatever stands beside a row in its
batch. NNPACK's is so in a batch of any size and with any number of threads too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from . import nnpack, products

LEAST_CHANNELS = 16  # of what NNPACK is given
MANY_CHANNELS = 320  # from which products gain; measured: 128 do not


class Winograd(TorchFunctionMode):
    """Has torch compute convolutions by Winograd's algorithm while the context lasts."""

    def __init__(self) -> None:
        super().__init__()
        nnpack.is_there()  # or it is not ready
        self._helpers: ThreadPoolExecutor | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.conv2d and len(args) == 7 and is_plain(*args):  # as modules call it
            given, weight, bias, _, padding = args[:5]
            if gains_much(given, weight):
                return nnpack.convolve(given, weight, bias, padding, self._spread)
            if gains(given, weight):
                return products.convolve(given, weight, bias, padding)
        return func(*args, **kwargs or {})

    def __exit__(self, *how: Any) -> None:
        super().__exit__(*how)
        if self._helpers:
            self._helpers.shutdown()
            self._helpers = None

    def _spread(self, compute: Callable[[Any], None], parts: Iterable) -> None:
        """Computes parts on as many threads as torch has here."""
        threads, parts = torch.get_num_threads(), list(parts)
        if threads > 1 and len(parts) > 1:
            self._helpers = self._helpers or ThreadPoolExecutor(threads, "sdlab winograd")
            list(self._helpers.map(compute, parts))  # raises what one raised
        else:
            for part in parts:
                compute(part)


def is_plain(
    given: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> bool:
    """Tells whether a convolution, of `torch.conv2d`'s arguments, is one of those it is for."""
    plain = (
        (isinstance(padding, tuple) and len(padding) == 2 and max(padding) <= 1)
        and given.ndim == 4
        and min(given.shape[2:]) >= 3
        and (tuple(weight.shape[2:]), stride, dilation, groups) == ((3, 3), (1, 1), (1, 1), 1)
    )
    ours = given.dtype == weight.dtype == torch.float32 and given.device.type == "cpu"
    needs = any(each is not None and each.requires_grad for each in (given, weight, bias))
    trained = needs and torch.is_grad_enabled()
    halved = torch.is_autocast_enabled("cpu")  # products would lose more digits than it means to
    return plain and ours and weight.is_contiguous() and not trained and not halved


def gains_much(given: Any, weight: Any) -> bool:
    """Tells whether NNPACK gains, of what is convolved and its weights."""
    places = math.prod(given.shape[2:])
    return places >= nnpack.LEAST_PLACES and min(weight.shape[:2]) >= LEAST_CHANNELS


def gains(given: Any, weight: Any) -> bool:
    """Tells whether products of matrices gain, of what is convolved and its weights."""
    places = math.prod(given.shape[2:])
    return places >= products.LEAST_PLACES and min(weight.shape[:2]) >= MANY_CHANNELS
