"""What is to be known of an ATen operator before it runs: whether it writes, views, draws or leaves memory as it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

HALF = (torch.float16, torch.bfloat16)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# They do not read the tensor that they write, so what was in it says nothing about the result.
_OVERWRITES = ("aten.copy_", "aten.fill_", "aten.zero_", "aten.set_", "aten.resize_")


@dataclass(frozen=True, slots=True)
class Operator:
    """One overload.

    Args:
        name: with its namespace, without the overload: `aten.add_`.
        arguments: names in the schema, in order.
        views: the result shares the memory of an operand, and nothing is written.
        written: names of the arguments that are written. reshapes: only their shape is.
        draws: takes random numbers. empty: the result holds whatever was in memory.
        flops: torch's own formula for the arithmetic, or None.
    """

    name: str
    arguments: tuple[str, ...]
    views: bool
    written: frozenset[str]
    reshapes: bool
    draws: bool
    empty: bool
    overwrites: bool
    aten: bool
    flops: Any


@lru_cache(maxsize=4096)
def describe(func: torch._ops.OpOverload) -> Operator:
    """Return what the schema and the tags of an overload say."""
    schema = func._schema
    aliased = [(argument.name, argument.alias_info) for argument in schema.arguments if argument.alias_info is not None]
    written = frozenset(name for name, alias in aliased if alias.is_write)
    packet = func._overloadpacket
    name = f"{func.namespace}.{packet.__name__}"
    draws = torch.Tag.nondeterministic_seeded in func.tags
    return Operator(
        name=name,
        arguments=tuple(argument.name for argument in schema.arguments),
        views=bool(aliased) and not written,
        written=written,
        reshapes=torch.Tag.inplace_view in func.tags,
        draws=draws,
        empty="empty" in packet.__name__ and not written,
        overwrites=bool(written) and (name in _OVERWRITES or draws or "out" in written),
        aten=func.namespace == "aten",
        flops=flop_registry.get(packet) or flop_registry.get(_out_of_place(packet)),
    )


def _out_of_place(packet: torch._ops.OpOverloadPacket) -> object:
    """Return `aten.addmm` for `aten.addmm_`, which torch has no formula for."""
    name = packet.__name__
    return getattr(torch.ops.aten, name[:-1], None) if name.endswith("_") and not name.endswith("__") else None


def short(dtype: torch.dtype) -> str:
    """Return "float16" for torch.float16."""
    return str(dtype).removeprefix("torch.")
