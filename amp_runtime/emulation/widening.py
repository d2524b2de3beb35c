"""Computes in float32 what the CPU cannot in half precision, and rounds the result as the operator's dtype asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch._ops import OpOverload

# CUDA has none of these in half precision either, so the refusal of the CPU is the right answer.
_NOT_ON_CUDA = ("linalg", "cholesky", "lu_", "qr", "ormqr", "orgqr", "triangular", "eig", "svd", "lstsq", "inverse")

_refused: set[tuple[OpOverload, torch.dtype]] = set()


def run(
    operator: OpOverload, args: list[Any], kwargs: dict[str, Any], written: tuple[tuple[int, str], ...]
) -> Any:
    """Run an operator on CPU tensors, in float32 where it has no kernel for the half precision of its arguments.

    Raises:
        RuntimeError: what the operator raises, if that is not for want of such a kernel.
    """
    low = _low_dtype([*args, *kwargs.values()])
    if low is not None and (operator, low) in _refused:
        return _run_wide(operator, args, kwargs, written, low)
    try:
        return operator(*args, **kwargs)
    except RuntimeError as error:  # NotImplementedError is one
        if low is None or not _lacks_kernel(operator, str(error)):
            raise
    _refused.add((operator, low))
    return _run_wide(operator, args, kwargs, written, low)


def _lacks_kernel(operator: OpOverload, message: str) -> bool:
    if any(part in operator.name() for part in _NOT_ON_CUDA):
        return False
    return "not implemented for 'Half'" in message or "not implemented for 'BFloat16'" in message


def _low_dtype(values: list[Any]) -> torch.dtype | None:
    import torch

    for value in values:
        if isinstance(value, torch.Tensor):
            if value.dtype in (torch.float16, torch.bfloat16):
                return value.dtype
        elif isinstance(value, (list, tuple)) and (found := _low_dtype(list(value))) is not None:
            return found
    return None


def _run_wide(
    operator: OpOverload,
    args: list[Any],
    kwargs: dict[str, Any],
    written: tuple[tuple[int, str], ...],
    low: torch.dtype,
) -> Any:
    import torch

    wide_args = [_cast(value, low, torch.float32) for value in args]
    wide_kwargs = {name: _cast(value, low, torch.float32) for name, value in kwargs.items()}
    result = operator(*wide_args, **wide_kwargs)
    for position, name in written:
        narrow = kwargs[name] if name in kwargs else args[position]
        _copy_back(narrow, wide_kwargs[name] if name in kwargs else wide_args[position])
    return result if kwargs.get("dtype") is not None else _cast(result, torch.float32, low)


def _cast(value: Any, source: torch.dtype, target: torch.dtype) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(target) if value.dtype == source else value
    return type(value)(_cast(each, source, target) for each in value) if isinstance(value, (list, tuple)) else value


def _copy_back(narrow: Any, wide: Any) -> None:
    import torch

    if isinstance(narrow, torch.Tensor):
        if narrow is not wide:
            narrow.resize_(wide.shape).copy_(wide) if narrow.numel() == 0 else narrow.copy_(wide)
        return
    for each, other in zip(narrow, wide, strict=True):
        _copy_back(each, other)
