"""The same model in float64, whatever dtypes it names itself, with the random numbers of the float32 run."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDE = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex32: torch.complex128,
    torch.complex64: torch.complex128,
}
_DROPOUT = torch.ops.aten.native_dropout.default


def widen(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor in double precision; integers and booleans as they are."""
    return tensor.to(_WIDE.get(tensor.dtype, tensor.dtype))


class RandomDtypes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes in which dtype each random number of an eager run is drawn, in order."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[torch.dtype | None] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if _is_random(func):
            self.seen.append(_dtype_of(result))
        return result


class Widened(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operation in double precision, and draws random numbers in the dtypes that were noted.

    The dtype decides how a generator is consumed, so that a mask drawn for float64 would be another one.
    """

    def __init__(self, drawn: list[torch.dtype | None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._drawn = drawn
        self._next = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if _is_random(func):
            return self._random(func, args, kwargs)
        args, kwargs = pytree.tree_map(_wide_leaf, (args, kwargs))
        result = func(*args, **kwargs)
        # What is narrow now was made from nothing; it has to be wide before somebody writes into it.
        return result if func._schema.is_mutable else pytree.tree_map(_wide_leaf, result)

    def _random(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        dtype = self._drawn[self._next] if self._next < len(self._drawn) else None
        self._next += 1
        if func is _DROPOUT and dtype is not None:
            source, rate, training = args
            mask = func(torch.ones_like(source, dtype=dtype), rate, training)[1]
            kept = 1.0 - rate if training else 1.0
            return source * mask / kept if kept else torch.zeros_like(source), mask
        narrow = _narrowed(dtype)
        result = func(*pytree.tree_map(narrow, args), **pytree.tree_map(narrow, kwargs))
        if func._schema.is_mutable and args and isinstance(args[0], torch.Tensor):
            return args[0].copy_(result)
        return pytree.tree_map(_wide_leaf, result)


def reference_of(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of the model in double precision; tied weights stay tied.

    Raises:
        ValueError: the model cannot be copied.
    """
    try:
        copied = copy.deepcopy(model)
    except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        raise ValueError(f"the model cannot be copied, so there is no float64 form to compare with: {error}") from error
    for parameter in copied.parameters():
        parameter.grad = None
    return copied.double()


def take_over(reference: torch.nn.Module, model: torch.nn.Module) -> None:
    """Give the float64 copy the values and modes that the model has now."""
    with torch.no_grad():
        for wide, parameter in zip(reference.parameters(), model.parameters(), strict=True):
            wide.copy_(parameter)
        for held, buffer in zip(reference.buffers(), model.buffers(), strict=True):
            held.copy_(buffer)
    for copied, module in zip(reference.modules(), model.modules(), strict=True):
        copied.training = module.training


def _wide_leaf(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        return widen(leaf) if leaf.dtype in _WIDE else leaf
    return _WIDE.get(leaf, leaf) if isinstance(leaf, torch.dtype) else leaf


def _narrowed(dtype: torch.dtype | None) -> Callable[[Any], Any]:
    def narrow(leaf: Any) -> Any:
        if dtype is not None and isinstance(leaf, torch.Tensor) and leaf.dtype is torch.float64:
            return leaf.to(dtype)
        return leaf

    return narrow


def _is_random(func: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in func.tags and "attention" not in str(func)


def _dtype_of(result: Any) -> torch.dtype | None:
    first = next((leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)), None)
    return None if first is None else first.dtype
