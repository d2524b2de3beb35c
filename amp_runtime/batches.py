"""Moves and casts the tensors of a batch, whatever containers it is made of, and never an integer to a float format."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TypeVar

import torch
from torch.nn.utils.rnn import PackedSequence

Batch = TypeVar("Batch")


def move_to(batch: Batch, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
    """Return the batch with every tensor on `device`; containers keep their types, everything else is left as it is.

    Mappings, lists, tuples, named tuples and dataclasses are gone through; an object that is none of these but has a
    method `to`, such as a graph of PyTorch Geometric, moves itself.

    Args:
        non_blocking: do not wait for copies from pinned memory.
    """

    def move(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            return leaf.to(device, non_blocking=non_blocking)
        movable = not isinstance(leaf, type) and callable(getattr(leaf, "to", None))
        return leaf.to(device) if movable else leaf

    moved: Batch = _each(batch, move)
    return moved


def cast_floating(batch: Batch, dtype: torch.dtype) -> Batch:
    """Return the batch with every floating tensor in `dtype`; integers, booleans and complex numbers are left alone.

    bfloat16 has no integers above 256 that lie next to each other, so token ids, labels and masks that were cast
    along would be other ids. Objects that are no container and no tensor are left as they are.

    Raises:
        ValueError: a `dtype` that is not a floating one.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"{dtype} is no floating format; cast_floating would cut off what is behind the point")

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, PackedSequence):
            return leaf.to(dtype) if leaf.data.is_floating_point() else leaf
        return leaf.to(dtype) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf

    changed: Batch = _each(batch, cast)
    return changed


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Rebuild nested containers with `change` applied to all that is no container."""
    if isinstance(value, PackedSequence):  # a named tuple of which one part has to stay on the CPU
        return change(value)
    if isinstance(value, MutableMapping):
        return _each_entry(value, change)
    if isinstance(value, Mapping):
        return type(value)({key: _each(item, change) for key, item in value.items()})  # type: ignore[call-arg]
    if isinstance(value, list | tuple):
        items = [_each(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _each_field(value, change)
    return change(value)


def _each_entry(mapping: MutableMapping[Any, Any], change: Callable[[Any], Any]) -> MutableMapping[Any, Any]:
    # A copy keeps what the type carries besides its entries: a default factory, a tokenizer's encodings.
    copied = copy.copy(mapping)
    for key, item in mapping.items():
        copied[key] = _each(item, change)
    return copied


def _each_field(value: Any, change: Callable[[Any], Any]) -> Any:
    # Not dataclasses.replace: it would run __post_init__ again and refuse fields that __init__ does not take.
    copied = copy.copy(value)
    for field in dataclasses.fields(value):
        object.__setattr__(copied, field.name, _each(getattr(value, field.name), change))
    return copied
