"""Finds out what the installed PyTorch's autocast does to each operator, by calling its kernels and watching.

A kernel of autocast casts its arguments and calls an operator again, for the next dispatch key to handle. Tracer is
that key: a recorder there sees operator, dtypes and arguments and stops the call, so nothing is computed and the
arguments need not make sense. The tensors are empty shells that say they are on the device; there need not be one.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .model import AutocastPolicy, Category, Treatment
from .operators import all_operators, has_kernel, operators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from torch import Tensor
    from torch._ops import OpOverload

KEYS = {"cuda": "AutocastCUDA", "cpu": "AutocastCPU"}


class _Seen(Exception):  # noqa: N818
    """Ends a call at the recorder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    operator: OpOverload
    dtypes: tuple[torch.dtype, ...]
    named_dtype: torch.dtype | None


@functools.cache
def classify(device_type: str) -> AutocastPolicy:
    """Ask the kernels of autocast for a device type. Takes a tenth of a second and leaves no trace.

    Raises:
        ValueError: a device type whose policy is not of interest here.
    """
    import torch

    if device_type not in KEYS:
        raise ValueError(f"device type {device_type!r} has no policy here; use one of {', '.join(KEYS)}")
    found = [each for each in all_operators() if has_kernel(each, KEYS[device_type])]
    with _autocast_to_half(device_type):
        treatments = {operator.name(): _treatment(operator, device_type) for operator in found}
    return AutocastPolicy(device_type=device_type, torch_version=torch.__version__, treatments=treatments)


@contextlib.contextmanager
def _autocast_to_half(device_type: str) -> Iterator[None]:
    # The class `torch.autocast` would look for a GPU.
    import torch

    before = torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)
    torch.set_autocast_enabled(device_type, True)
    torch.set_autocast_dtype(device_type, torch.float16)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device_type, before[0])
        torch.set_autocast_dtype(device_type, before[1])


def _treatment(operator: OpOverload, device_type: str) -> Treatment:
    import torch

    single, half = torch.float32, torch.float16
    try:
        narrow = _observe(operator, device_type, itertools.repeat(half))
        wide = _observe(operator, device_type, itertools.repeat(single))
        mixed = _observe(operator, device_type, itertools.chain([half], itertools.repeat(single)))
    except RuntimeError as error:
        return Treatment(category=Category.BANNED, target=operator.name(), message=str(error))
    except AssertionError as error:  # computes before it calls, as the kernel that packs cuDNN's weights anew
        return Treatment(category=Category.OTHER, target=operator.name(), message=str(error))
    category = _category(operator, narrow, wide, mixed)
    seen = f"{narrow.dtypes}, {wide.dtypes}, {mixed.dtypes}" if category is Category.OTHER else ""
    return Treatment(category=category, target=narrow.operator.name(), message=seen)


def _category(operator: OpOverload, narrow: _Call, wide: _Call, mixed: _Call) -> Category:
    import torch

    single, half = {torch.float32}, {torch.float16}
    after = set(narrow.dtypes), set(wide.dtypes), set(mixed.dtypes)
    if narrow.named_dtype is torch.float32 and after[:2] == (half, single):
        return Category.FP32_SET_OPT_DTYPE if narrow.operator is operator else Category.FP32_APPEND_DTYPE
    if narrow.operator is not operator or narrow.named_dtype is not None:
        return Category.OTHER
    known = {
        (0, 0, 0): Category.LOWER_PRECISION_FP,
        (1, 1, 1): Category.FP32,
        (0, 1, 1): Category.PROMOTE,
    }
    pattern = tuple(0 if dtypes == half else 1 if dtypes == single else 2 for dtypes in after)
    return known.get(pattern, Category.OTHER)


def _observe(operator: OpOverload, device_type: str, dtypes: Iterator[torch.dtype]) -> _Call:
    """Call an operator under autocast with tensors of `dtypes` and return what came out below."""
    import torch

    calls: list[_Call] = []
    shell = _shells(device_type)
    arguments = [(each, _argument(each, dtypes, shell)) for each in operator._schema.arguments]
    args = [value for each, value in arguments if not each.kwarg_only]
    kwargs = {each.name: value for each, value in arguments if each.kwarg_only}
    tracer = torch._C._parse_dispatch_key("Tracer")
    with _recorders(operator, calls, shell), torch._C._IncludeDispatchKeyGuard(tracer), contextlib.suppress(_Seen):
        operator(*args, **kwargs)
    if not calls:
        raise AssertionError(f"autocast's kernel for {operator.name()} called nothing")
    return calls[0]


@contextlib.contextmanager
def _recorders(operator: OpOverload, calls: list[_Call], shell: Callable[[torch.dtype], Tensor]) -> Iterator[None]:
    import torch

    libraries = [torch.library.Library(operator.namespace, "IMPL"), torch.library.Library("aten", "IMPL")]
    packet = operator.overloadpacket
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the kernels that are replaced for a moment trace for TorchScript
        for overload in packet.overloads():
            each = getattr(packet, overload)
            libraries[0].impl(each.name(), functools.partial(_record, calls, each), "Tracer", allow_override=True)
        cast = functools.partial(_cast, shell)
        libraries[1].impl("aten::_to_copy", cast, "Tracer", allow_override=True)
    try:
        yield
    finally:
        for library in libraries:
            library._destroy()


def _record(calls: list[_Call], operator: OpOverload, *args: Any, **kwargs: Any) -> Any:
    import torch

    values = [*args, *kwargs.values()]
    flat = [each for value in values for each in (value if isinstance(value, (list, tuple)) else [value])]
    dtypes = tuple(each.dtype for each in flat if isinstance(each, torch.Tensor) and each.is_floating_point())
    named = next((value for value in values if isinstance(value, torch.dtype)), None)
    calls.append(_Call(operator=operator, dtypes=dtypes, named_dtype=named))
    raise _Seen


def _cast(shell: Callable[[torch.dtype], Tensor], tensor: Tensor, *, dtype: torch.dtype, **_: Any) -> Tensor:
    return shell(dtype)


def _argument(argument: Any, dtypes: Iterator[torch.dtype], shell: Callable[[torch.dtype], Tensor]) -> Any:
    """Make a value of an argument's type; which one does not matter, except that of tensors."""
    import torch

    kind = str(argument.type)
    if kind in ("Tensor", "Optional[Tensor]"):
        return shell(next(dtypes))
    if kind == "List[Tensor]":
        return [shell(next(dtypes)), shell(next(dtypes))]
    if kind == "List[Optional[Tensor]]":
        return [torch.zeros(1, dtype=torch.long)]
    if argument.has_default_value():
        return argument.default_value
    if kind.startswith("Optional"):
        return None
    values = {"int": 1, "SymInt": 1, "number": 1, "float": 1.0, "bool": False, "str": "", "List[bool]": [False]}
    if kind in values:
        return values[kind]
    if kind.startswith("List["):
        return [1]
    raise AssertionError(f"no value is known for an argument of type {kind}")


def _shells(device_type: str) -> Callable[[torch.dtype], Tensor]:
    import torch

    class Shell(torch.Tensor):
        """Has a device and a dtype and nothing else."""

        @staticmethod
        def __new__(cls, dtype: torch.dtype) -> Shell:
            shell: Shell = torch.Tensor._make_wrapper_subclass(cls, (2, 2), dtype=dtype, device=device_type)
            return shell

        __torch_function__ = torch._C._disabled_torch_function_impl

        @classmethod
        def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            raise AssertionError(f"{function} went past the recorder")

    return Shell
