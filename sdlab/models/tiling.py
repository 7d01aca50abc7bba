"""Pictures whose edges fit together: convolutions that see the opposite edge, not zeros.

All else in a UNet and a VAE treats every place alike (attention, norms), so that what is computed
of rolled latents is what is computed of them, rolled.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

AXES = {"x": "x", "y": "y", "both": "xy"}


def set_tiling(networks: Iterable[Any], tiling: str | None) -> None:
    """Has the convolutions of networks see around the edges of `tiling`, or none."""
    import torch
    from diffusers.models.downsampling import Downsample2D

    for network in networks:
        if network._compiled_call_impl is not None:  # for other edges
            network._compiled_call_impl = None
            torch.compiler.reset()
        layers = [*network.modules()]
        ended = {
            id(each.conv) for each in layers if isinstance(each, Downsample2D) and not each.padding
        }
        for layer in layers:
            if not isinstance(layer, torch.nn.Conv2d):
                continue
            vars(layer).pop("_conv_forward", None)  # back to the class's own
            convolve = convolve_ended if id(layer) in ended else convolve_around
            if tiling and (any(layer.padding) or id(layer) in ended):
                vars(layer)["_conv_forward"] = partial(convolve, layer, AXES[tiling])


def convolve_around(layer: Any, axes: str, given: Any, weight: Any, bias: Any) -> Any:
    """Convolves (B, C, H, W) with what is beyond its edges taken from the opposite ones."""
    from torch.nn import functional

    left, right, top, bottom = layer._reversed_padding_repeated_twice
    across = (left, right) if "x" in axes else (0, 0)
    down = (top, bottom) if "y" in axes else (0, 0)
    padding = (0 if "y" in axes else top, 0 if "x" in axes else left)
    around = functional.pad(given, (*across, *down), mode="circular")
    return functional.conv2d(
        around, weight, bias, layer.stride, padding, layer.dilation, layer.groups
    )


def convolve_ended(layer: Any, axes: str, given: Any, weight: Any, bias: Any) -> Any:
    """The same of a VAE's encoder, whose layers get one row and column of zeros at the end."""
    from torch.nn import functional

    around = given.clone()
    if "x" in axes:
        around[..., -1] = around[..., 0]
    if "y" in axes:
        around[..., -1, :] = around[..., 0, :]
    return functional.conv2d(around, weight, bias, layer.stride, 0, layer.dilation, layer.groups)
