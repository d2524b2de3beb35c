"""Puts CUDA's table in the place of the CPU's, for programs that choose the CPU and `torch.autocast("cpu")`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from . import cast_cache
from .model import AutocastPolicy, Category, Treatment
from .operators import all_operators, implement, library, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch._ops import OpOverload

# On CUDA they are one operator of cuDNN, which casts all; its entry is only in the table of a build with cuDNN.
_RECURRENT = ("aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu")


def register(wanted: AutocastPolicy, present: AutocastPolicy) -> tuple[torch.library.Library, ...]:
    """Register a kernel for every entry of `wanted`, and let operators that only `present` has pass.

    The registrations live as long as what is returned.
    """
    cast_cache.install()
    libraries: dict[str, torch.library.Library] = {}
    for operator in all_operators():
        kernel = _kernel(operator, wanted, present)
        if kernel is not None:
            opened = libraries.setdefault(operator.namespace, library(operator.namespace))
            implement(opened, operator, kernel, "AutocastCPU")
    return tuple(libraries.values())


def _kernel(operator: OpOverload, wanted: AutocastPolicy, present: AutocastPolicy) -> Callable[..., Any] | None:
    name = name_of(operator)
    treatment = wanted.treatments.get(name)
    if name.partition(".")[0] in _RECURRENT and "." in name:
        treatment = Treatment(category=Category.LOWER_PRECISION_FP, target=name)
    if treatment is not None and treatment.category is not Category.OTHER:
        return functools.partial(_run, operator, treatment)
    return torch.library.fallthrough_kernel if name in present.treatments else None


def _run(operator: OpOverload, treatment: Treatment, *args: Any, **kwargs: Any) -> Any:
    with torch._C._ExcludeDispatchKeyGuard(_autocast()):
        if _inside_a_kernel():
            return operator(*args, **kwargs)
        return _TREATMENTS[treatment.category](operator, treatment, args, kwargs)


def _inside_a_kernel() -> bool:
    """Return whether a kernel of the CPU called the operator, as that of `mean` does with `sum`: CUDA's does not.

    Autograd is shut off below itself; in inference mode it is shut off everywhere, and then this cannot be told.
    """
    excluded = torch._C._dispatch_tls_is_dispatch_key_excluded(torch._C.DispatchKey.AutogradCPU)
    return bool(excluded) and not torch.is_inference_mode_enabled()


@functools.cache
def _autocast() -> torch._C.DispatchKeySet:
    return torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)


def _all_to(dtype: torch.dtype, operator: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    cast_kwargs = {name: cast_cache.cast(value, dtype) for name, value in kwargs.items()}
    return operator(*(cast_cache.cast(value, dtype) for value in args), **cast_kwargs)


def _lower(operator: OpOverload, treatment: Treatment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _all_to(torch.get_autocast_dtype("cpu"), operator, args, kwargs)


def _single(operator: OpOverload, treatment: Treatment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _all_to(torch.float32, operator, args, kwargs)


def _promote(operator: OpOverload, treatment: Treatment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    widest = low = torch.get_autocast_dtype("cpu")
    values = [*args, *kwargs.values()]
    flat = [each for value in values for each in (value if isinstance(value, (list, tuple)) else [value])]
    for dtype in (each.dtype for each in flat if cast_cache.is_eligible(each)):
        if dtype not in (low, torch.float32):
            raise RuntimeError("Unexpected floating ScalarType in at::autocast::prioritize")
        widest = torch.float32 if torch.float32 in (dtype, widest) else low
    return _all_to(widest, operator, args, kwargs)


def _set_dtype(operator: OpOverload, treatment: Treatment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not cast_cache.is_eligible(args[0]):
        return operator(*args, **kwargs)
    names = [each.name for each in operator._schema.arguments]
    named = dict(zip(names, args, strict=False)) | kwargs
    if named.get("dtype") is None:
        named["dtype"] = torch.float32
    return operator(**named)


def _append_dtype(operator: OpOverload, treatment: Treatment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    named = {each.name: each.default_value for each in operator._schema.arguments if each.has_default_value()}
    named |= dict(zip((each.name for each in operator._schema.arguments), args, strict=False)) | kwargs
    dtype = torch.float32 if cast_cache.is_eligible(args[0]) else args[0].dtype
    target = getattr(operator.overloadpacket, treatment.target.partition(".")[2])
    return target(**named, dtype=dtype)


def _refuse(operator: OpOverload, treatment: Treatment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise RuntimeError(treatment.message)


_TREATMENTS: dict[Category, Callable[[Any, Treatment, tuple[Any, ...], dict[str, Any]], Any]] = {
    Category.LOWER_PRECISION_FP: _lower,
    Category.FP32: _single,
    Category.PROMOTE: _promote,
    Category.FP32_SET_OPT_DTYPE: _set_dtype,
    Category.FP32_APPEND_DTYPE: _append_dtype,
    Category.BANNED: _refuse,
}
