"""A network's weights in the order of a processor's kernels, laid out once and not in each call.

In half precision torch hands convolutions and linear layers to oneDNN, which wants weights in an
order of its own, and lays them out anew each time that a layer is called. On networks of v1's size
in bfloat16 that is a tenth of a UNet's call, most of it where few pixels meet wide layers. What is
laid out here is computed by the same kernels: each kind of layer is tried once, and stays as it was
if its bits are not the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

LEAST = 2**16  # numbers of a weight; smaller ones, such as a LoRA's, are laid out in no time
MOST_PIXELS = 1024  # of all rows; where more share the weights of a convolution, nothing is gained
NOTHING: tuple = ("none", [], "")  # follows the layer in the same kernel

_same: dict[tuple, bool] = {}  # of each kind of layer, whether its bits are


class Packed:
    """The packed weights of a network, for all lanes.

    They take as much memory as the weights themselves, which they hold too.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple, tuple[torch.Tensor, Any]] = {}  # by the weight's id and the kind
        self._lock = threading.Lock()

    def use(self) -> Packing:
        """Makes a context: while it lasts, this thread computes layers with packed weights."""
        return Packing(self)

    def compute(self, layer: Any, given: Any, weight: Any, bias: Any = None, *how: Any) -> Any:
        """Computes a layer of `LAYERS` of torch's own arguments."""
        shapes = given.shape, given.stride(), weight.shape, weight.stride(), bias is None
        kind = layer, given.dtype, *shapes, how, torch.get_num_threads()
        known = _same.get(kind)
        if known is False or not pays(given, weight, how):
            return layer(given, weight, bias, *how)
        made = None
        with suppress(RuntimeError):  # this processor has no such kernel
            made = LAYERS[layer](given, self._pack(kind, given, weight, how), bias, *how)
        if known and made is not None:
            return made
        plain = layer(given, weight, bias, *how)
        _same[kind] = made is not None and is_same(made, plain)
        return plain

    def _pack(self, kind: tuple, given: Any, weight: Any, how: tuple) -> Any:
        """Lays a weight out once; lanes that come to it meanwhile wait."""
        name = id(weight), kind
        with self._lock:
            if name not in self._kept:
                self._kept[name] = weight, pack(given, weight, how)
            return self._kept[name][1]


class Packing(TorchFunctionMode):
    """Has torch compute layers with packed weights."""

    def __init__(self, packed: Packed) -> None:
        super().__init__()
        self._packed = packed

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in LAYERS and not kwargs:
            return self._packed.compute(func, *args)
        return func(*args, **kwargs or {})


def pays(given: Any, weight: Any, how: tuple) -> bool:
    """Tells whether a layer can gain: `how` is a convolution's, as modules give it, or empty."""
    if weight.numel() < LEAST or not given.dtype == weight.dtype != torch.float32:
        return False
    if weight.ndim == 2:
        return True
    whole = len(how) == 4 and all(isinstance(each, tuple) for each in how[:3])
    return whole and given.ndim == 4 and given.numel() // given.shape[1] <= MOST_PIXELS


def pack(given: Any, weight: Any, how: tuple) -> Any:
    """Lays a weight out for what the layer is given first."""
    if not how:
        rows = given.numel() // given.shape[-1]
        return torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    stride, padding, dilation, groups = how
    return torch.ops.aten.mkldnn_reorder_conv2d_weight(
        weight.to_mkldnn(), padding, stride, dilation, groups, given.shape
    )


def apply_linear(given: Any, packed: Any, bias: Any) -> Any:
    """Applies a linear layer of a packed weight."""
    return torch.ops.mkldnn._linear_pointwise(given, packed, bias, *NOTHING)


def convolve(
    given: Any, packed: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """Convolves with a packed weight."""
    return torch.ops.mkldnn._convolution_pointwise(
        given, packed, bias, padding, stride, dilation, groups, *NOTHING
    )


def is_same(one: Any, other: Any) -> bool:
    """Tells whether two tensors are the same bit for bit, in the same order in memory."""
    return one.stride() == other.stride() and torch.equal(one, other)


LAYERS: dict[Any, Callable[..., Any]]  # by what modules call
LAYERS = {torch.conv2d: convolve, torch._C._nn.linear: apply_linear}
