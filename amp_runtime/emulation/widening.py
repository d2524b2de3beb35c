"""Computes in float32 what the CPU cannot in half precision, and rounds the result as the operator's dtype asks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch._ops import OpOverload

# CUDA has none of these in half precision either, so the refusal of the CPU is the right answer.
_NOT_ON_CUDA = ("cholesky", "eig", "geqrf", "inverse", "ldl", "linalg", "lstsq", "lu", "orgqr", "ormqr", "qr", "svd")
_REFUSALS = tuple(f"not implemented for '{name}'" for name in ("Half", "BFloat16", "ComplexHalf"))
_REFUSALS += ("FFT doesn't support tensors of type",)

# As the tensor cores do it: products of float16 are summed in float32 and rounded once. Few CPUs multiply float16, and
# without that their own kernels take ten times as long.
_PRODUCTS = frozenset(
    f"aten::{name}"
    for name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "addbmm", "convolution", "convolution_backward")
)

_refused: set[tuple[OpOverload, torch.dtype]] = set()


def run(operator: OpOverload, args: list[Any], kwargs: dict[str, Any], written: tuple[tuple[int, str], ...]) -> Any:
    """Run an operator on CPU tensors, in float32 where it has no kernel for the half precision of its arguments.

    Raises:
        RuntimeError: what the operator raises, if that is not for want of such a kernel.
    """
    dtypes = _floating_dtypes([*args, *kwargs.values()])
    low = next((dtype for dtype in dtypes if dtype in _wide()), None)
    is_product = operator._schema.name in _PRODUCTS and set(dtypes) == {torch.float16}
    if not is_product and (low is None or (operator, low) not in _refused):
        try:
            return operator(*args, **kwargs)
        except RuntimeError as error:  # NotImplementedError is one
            if low is None or not _lacks_kernel(operator, str(error)):
                raise
        _refused.add((operator, low))
    return _run_wide(operator, args, kwargs, written, low)


def _lacks_kernel(operator: OpOverload, message: str) -> bool:
    name = operator._schema.name.partition("::")[2].lstrip("_")
    return not name.startswith(_NOT_ON_CUDA) and any(refusal in message for refusal in _REFUSALS)


def _check_fft(operator: OpOverload, args: list[Any]) -> None:
    """Hold a Fourier transform in half precision to what cuFFT can."""
    if not operator._schema.name.startswith("aten::_fft"):
        return
    # Signal and dimensions come first in every operator of this family, and the real size last where half is given.
    sizes = [args[0].shape[dim] for dim in args[1]]
    if operator._schema.name == "aten::_fft_c2r":
        sizes[-1] = args[3]
    if any(size & (size - 1) for size in sizes):
        raise RuntimeError(
            "cuFFT only supports dimensions whose sizes are powers of two when computing in half precision, but got a "
            f"signal size of {sizes}"
        )


@functools.cache
def _wide() -> Mapping[torch.dtype, torch.dtype]:
    return {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}


def _floating_dtypes(values: Sequence[Any]) -> list[torch.dtype]:
    found: list[torch.dtype] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            if value.is_floating_point() or value.is_complex():
                found.append(value.dtype)
        elif isinstance(value, (list, tuple)):
            found += _floating_dtypes(value)
    return found


def _run_wide(
    operator: OpOverload,
    args: list[Any],
    kwargs: dict[str, Any],
    written: tuple[tuple[int, str], ...],
    low: torch.dtype | None,
) -> Any:
    _check_fft(operator, args)
    wide_args = [_cast(value, _wide()) for value in args]
    wide_kwargs = {name: _cast(value, _wide()) for name, value in kwargs.items()}
    result = operator(*wide_args, **wide_kwargs)
    for position, name in written:
        narrow, wide = (kwargs, wide_kwargs) if name in kwargs else (args, wide_args)
        place: Any = name if name in kwargs else position
        _copy_back(narrow[place], wide[place])
    if kwargs.get("dtype") is not None:
        return result
    real = torch.bfloat16 if low is torch.bfloat16 else torch.float16
    return _cast(result, {torch.float32: real, torch.complex64: torch.complex32})


def _cast(value: Any, targets: Mapping[torch.dtype, torch.dtype]) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(targets[value.dtype]) if value.dtype in targets else value
    return type(value)(_cast(each, targets) for each in value) if isinstance(value, (list, tuple)) else value


def _copy_back(narrow: Any, wide: Any) -> None:
    if isinstance(narrow, torch.Tensor):
        if narrow is not wide:
            if narrow.numel() == 0:  # made for `out`, to be resized
                narrow.resize_(wide.shape)
            narrow.copy_(wide)
        return
    for each, other in zip(narrow, wide, strict=True):
        _copy_back(each, other)
