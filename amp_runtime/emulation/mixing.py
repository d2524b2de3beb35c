"""Refuses, as CUDA does, an operator whose tensors lie on the CPU and on a CUDA device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .operators import name_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch._ops import OpOverload

# They move data between devices, or take indices, lengths or a storage from the CPU.
_TAKE_BOTH = (
    "copy",
    "_to_copy",
    "index",
    "_unsafe_index",
    "_index_put_impl",
    "set",
    "ctc_loss",
    "pack_padded",
    "resize",
)


def check(operator: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Let pass tensors of one device, and single numbers (0-dim) of the CPU beside them.

    Raises:
        RuntimeError: in CUDA's words.
    """
    strays = [tensor for tensor in _tensors([*args, *kwargs.values()]) if not tensor.is_cuda and tensor.dim() > 0]
    if not strays or operator.namespace != "aten":
        return
    name = operator._schema.name.partition("::")[2].strip("_")
    if any(name.startswith(each.strip("_")) for each in _TAKE_BOTH) and not _indexes_from_cpu(name, args):
        return
    raise RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and "
        f"{strays[0].device}! (in {name_of(operator)})"
    )


def _indexes_from_cpu(name: str, args: tuple[Any, ...]) -> bool:
    return "index" in name and not args[0].is_cuda


def _tensors(values: list[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _tensors(list(value))
    return found
