"""Reads the graph of one backward for what only some rules ask: cast weights, custom functions, fp32 products."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

_LIMIT = 200_000  # nodes
_PRODUCTS = ("Mm", "Addmm", "Bmm", "Baddbmm", "Addbmm", "Mv", "Addmv", "Convolution", "MkldnnConvolution", "Linear")
_PRODUCT_NODES = frozenset(f"{name}Backward0" for name in _PRODUCTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightCast:
    """A leaf that was cast before it was used, as autocast does with weights.

    Args:
        leaf: the fp32 tensor.
        made: sequence number of the cast; used: that of the last operation that took its result. Between the two, the
            copy came out of autocast's cache.
    """

    leaf: Any
    made: int
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSeen:
    """A custom autograd function of the program. `autocast`: as `custom_fwd` has noted it; None without it."""

    function: Any
    device: str
    autocast: bool | None


@dataclass(slots=True, kw_only=True)
class Graph:
    """What a graph holds below its roots.

    Args:
        functions: custom autograd functions of the program, one of each class.
        compiled: a part of it was made by torch.compile.
        products: shapes of the results of fp32 matrix products and convolutions, by the name of their node.
        half: one of the products is in half.
    """

    casts: list[WeightCast] = field(default_factory=list)
    functions: dict[Any, FunctionSeen] = field(default_factory=dict)
    compiled: bool = False
    products: dict[str, tuple[int, ...]] = field(default_factory=dict)
    half: bool = False


def read(roots: Iterable[Any]) -> Graph:
    """Walk the graphs below these roots. Nothing of them is kept but leaves."""
    found = Graph()
    todo = [root.grad_fn for root in roots if root.grad_fn is not None]
    seen = set(todo)
    plain: set[type] = set()
    casts: dict[Any, int] = {}
    while todo and len(seen) < _LIMIT:
        node = todo.pop()
        kind = type(node)
        if kind not in plain and not _note(found, node, kind):
            plain.add(kind)
        for after, _index in node.next_functions:
            if after is None:
                continue
            if type(after).__name__ == "ToCopyBackward0":
                casts[after] = max(casts.get(after, 0), node._sequence_nr())
            if after not in seen:
                seen.add(after)
                todo.append(after)
    for node, used in casts.items():
        leaf = getattr(node.next_functions[0][0], "variable", None)
        if leaf is not None:
            found.casts.append(WeightCast(leaf=leaf, made=node._sequence_nr(), used=used))
    return found


def now() -> int:
    """Return the sequence number that the next node of this thread gets."""
    return int(torch._C._autograd._get_sequence_nr())


def _note(found: Graph, node: Any, kind: type) -> bool:
    """Note a node if its kind is one of those that are asked for, and say whether it is."""
    if issubclass(kind, BackwardCFunction):
        function = node._forward_cls
        if function.__name__ == "CompiledFunction":
            found.compiled = True
        elif not function.__module__.startswith("torch."):
            found.functions[function] = FunctionSeen(
                function=function,
                device=node._input_metadata[0].device.type,
                autocast=getattr(node, "_fwd_used_autocast", None),
            )
        return True
    if kind.__name__ not in _PRODUCT_NODES:
        return False
    result = node._input_metadata[0]
    if result.dtype is torch.float32:
        found.products[kind.__name__.removesuffix("Backward0")] = tuple(result.shape)
    else:
        found.half = True
    return True
