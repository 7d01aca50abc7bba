"""What a network's call consists of: torch's operations, what each needs of a machine, and the seconds that it took."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

aten = torch.ops.aten
CONVOLUTIONS, LINEAR, ATTENTION = "convolutions", "linear layers", "attention"
REST = "norms and the rest"
KINDS = (CONVOLUTIONS, LINEAR, ATTENTION, REST)
PRODUCTS = {
    **{aten.convolution: CONVOLUTIONS, aten.mm: LINEAR, aten.addmm: LINEAR},
    **{aten.bmm: ATTENTION, aten.baddbmm: ATTENTION},
}
FUSED = aten._scaled_dot_product_flash_attention_for_cpu  # unknown to torch's counter of FLOPs
FREE = (aten._unsafe_view, aten.empty, aten.detach)  # which move nothing, as views do
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
Rates = dict[str, float]


@dataclass(frozen=True)
class Operation:
    """What an operation needs, in numbers of 2 or 4 bytes, and the seconds of a cell that it took."""

    kind: str
    flops: float = 0
    exponentials: float = 0
    weights: float = 0
    moved: float = 0
    shapes: tuple = ()  # of a layer's input and weight
    seconds: float = 0

    def find_least(self, rates: Rates, dtype: str) -> float:
        """Finds the least seconds of it on a machine of such rates."""
        size = BYTES[dtype]
        product = max(self.flops / rates[dtype], self.weights * size / rates["memory"])
        moving = self.moved * size / rates["activations"]
        return product + self.exponentials / rates["exponentials"] + moving


def describe_call(call: Any, args: tuple, kwargs: dict, out: Any) -> Operation:
    """Describes what a call of one of torch's operations needs."""
    packet = call.overloadpacket
    if packet is FUSED:
        query, key, value = (each.shape for each in args[:3])
        number = query[:-1].numel() * key[-2]
        return Operation(ATTENTION, sdpa_flop_count(query, key, value), number)
    if packet in (aten._softmax, aten._safe_softmax):
        return Operation(ATTENTION, exponentials=out.numel())
    if packet not in PRODUCTS:
        tensors = [each for each in tree_leaves((args, kwargs, out)) if torch.is_tensor(each)]
        return Operation(REST, moved=sum(each.numel() for each in tensors))
    kind, flops = PRODUCTS[packet], flop_registry[packet](*args, **kwargs, out_val=out)
    if kind == ATTENTION:
        return Operation(kind, flops)
    given, weight = args[:2] if kind == CONVOLUTIONS else args[-2:]
    return Operation(kind, flops, 0, weight.numel(), shapes=(given.shape, weight.shape))


class Watch(TorchDispatchMode):
    """Notes the operations of what is called in it, with their seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Operation] = []

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        begun = time.perf_counter()
        out = call(*args, **(kwargs or {}))
        seconds = time.perf_counter() - begun
        if not call.is_view and call.overloadpacket not in FREE:
            found = describe_call(call, args, kwargs or {}, out)
            self.found.append(replace(found, seconds=seconds))
        return out
