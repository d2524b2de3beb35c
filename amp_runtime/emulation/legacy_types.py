"""Stands in for `torch.cuda.FloatTensor` and its like, which older programs choose by `torch.cuda.is_available()`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch

_DTYPES = {
    "FloatTensor": torch.float32,
    "DoubleTensor": torch.float64,
    "HalfTensor": torch.float16,
    "BFloat16Tensor": torch.bfloat16,
    "ByteTensor": torch.uint8,
    "CharTensor": torch.int8,
    "ShortTensor": torch.int16,
    "IntTensor": torch.int32,
    "LongTensor": torch.int64,
    "BoolTensor": torch.bool,
}


class _LegacyType(type):
    """Makes a class that is called for a tensor of one dtype on the emulated device and knows its own."""

    dtype: torch.dtype

    def __call__(cls, *args: Any) -> torch.Tensor:
        """Take sizes, or one sequence of numbers, or an array, as the types of old did."""
        if len(args) == 1 and isinstance(args[0], (Sequence, torch.Tensor)) and not isinstance(args[0], torch.Size):
            return torch.as_tensor(args[0], dtype=cls.dtype, device="cuda")
        if len(args) == 1 and hasattr(args[0], "__array__"):
            return torch.as_tensor(args[0], dtype=cls.dtype, device="cuda")
        sizes = args[0] if args and isinstance(args[0], torch.Size) else args or (0,)
        return torch.empty(*sizes, dtype=cls.dtype, device="cuda")

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, torch.Tensor) and instance.is_cuda and instance.dtype == cls.dtype


def install() -> None:
    """Put the types into `torch.cuda`, and let `Tensor.type` and `set_default_tensor_type` take them."""
    types = {name: _LegacyType(name, (), {"dtype": dtype}) for name, dtype in _DTYPES.items()}
    for name, each in types.items():
        setattr(torch.cuda, name, each)
    by_name = {f"torch.cuda.{name}": each for name, each in types.items()}
    convert, choose = torch.Tensor.type, torch.set_default_tensor_type

    @functools.wraps(convert)
    def convert_to(self: torch.Tensor, dtype: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
        wanted = by_name.get(dtype, dtype) if isinstance(dtype, str) else dtype
        if isinstance(wanted, _LegacyType):
            return self.to("cuda", wanted.dtype)
        return convert(self, dtype, non_blocking, **kwargs) if dtype is not None else convert(self)

    @functools.wraps(choose)
    def choose_default(t: Any) -> None:
        wanted = by_name.get(t, t) if isinstance(t, str) else t
        if isinstance(wanted, _LegacyType):
            torch.set_default_dtype(wanted.dtype)
            torch.set_default_device("cuda")
        else:
            choose(t)

    vars(torch)["set_default_tensor_type"] = choose_default
    for name, method in {"type": convert_to}.items():
        setattr(torch.Tensor, name, method)
