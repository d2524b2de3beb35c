"""Casts tensors for autocast on the CPU and keeps the casts of weights, as `at::autocast::cached_cast` does in C++."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

# Key: id of the weight. A dead weight's id may come back, so the entry says whose it is.
_casts: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}


def install() -> None:
    """Empty the cache whenever `torch.autocast` empties PyTorch's: on leaving the outermost context."""
    clear_theirs = torch.clear_autocast_cache

    def clear_autocast_cache() -> None:
        _casts.clear()
        clear_theirs()

    torch.clear_autocast_cache = clear_autocast_cache


def is_eligible(value: Any) -> bool:
    """Return whether autocast on the CPU would touch a value: a floating tensor there that is not float64."""
    return (
        isinstance(value, torch.Tensor)
        and value.device.type == "cpu"
        and value.is_floating_point()
        and value.dtype != torch.float64
    )


def cast(value: Any, dtype: torch.dtype) -> Any:
    """Cast what is eligible, also inside a list; return anything else as it is."""
    if isinstance(value, (list, tuple)):
        return type(value)(cast(each, dtype) for each in value)
    if not is_eligible(value) or value.dtype == dtype:
        return value
    return _cached(value, dtype) if _is_cacheable(value, dtype) else value.to(dtype)


def _is_cacheable(tensor: Tensor, dtype: torch.dtype) -> bool:
    is_weight = tensor.dtype == torch.float32 and tensor.requires_grad and tensor.is_leaf and not tensor._is_view()
    return is_weight and dtype == torch.get_autocast_dtype("cpu") and torch.is_autocast_cache_enabled()


def _cached(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    owner, kept = _casts.get(id(tensor), (None, None))
    if owner is not None and kept is not None and owner() is tensor:
        return kept
    with torch.enable_grad():  # a cast made without would cut the weight off from a later forward pass
        made = tensor.to(dtype)
    _casts[id(tensor)] = weakref.ref(tensor), made
    return made
