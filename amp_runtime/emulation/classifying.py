"""Finds out what the installed PyTorch's autocast does to each operator, by calling its kernels and watching.

A kernel of autocast casts its arguments and calls an operator again, for the next dispatch key to handle. Tracer is
that key: a recorder there sees operator, dtypes and arguments and stops the call, so nothing is computed and the
arguments need not make sense. The tensors are empty shells that say they are on the device; there need not be one.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from .model import AutocastPolicy, Category, Treatment
from .operators import all_operators, has_kernel, implement, library, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
def policy(device_type: str = "cuda") -> AutocastPolicy:
    """Return what autocast does to each operator on `"cuda"` or `"cpu"`, as the installed PyTorch answers.

    No device is needed and nothing is changed. Asked once per process, before or after `emulate` alike.

    Raises:
        ValueError: another device type.
    """
    if device_type not in KEYS:
        raise ValueError(f"device type {device_type!r} has no policy here; use one of {', '.join(KEYS)}")
    found = [each for each in all_operators() if has_kernel(each, KEYS[device_type])]
    with _autocast_to_half(device_type):
        treatments = {name_of(operator): _treatment(operator, device_type) for operator in found}
    return AutocastPolicy(device_type=device_type, torch_version=torch.__version__, treatments=treatments)


@contextlib.contextmanager
def _autocast_to_half(device_type: str) -> Iterator[None]:
    # The class `torch.autocast` would look for a GPU.
    before = torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)
    torch.set_autocast_enabled(device_type, True)
    torch.set_autocast_dtype(device_type, torch.float16)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device_type, before[0])
        torch.set_autocast_dtype(device_type, before[1])


def _treatment(operator: OpOverload, device_type: str) -> Treatment:
    single, half = torch.float32, torch.float16
    try:
        narrow = _observe(operator, device_type, itertools.repeat(half))
        wide = _observe(operator, device_type, itertools.repeat(single))
        mixed = _observe(operator, device_type, itertools.chain([half], itertools.repeat(single)))
    except (RuntimeError, AssertionError) as error:
        # A ban speaks of autocast; the kernel that packs cuDNN's weights anew dislikes arguments that make no sense.
        is_ban = isinstance(error, RuntimeError) and "autocast" in str(error)
        category = Category.BANNED if is_ban else Category.OTHER
        return Treatment(category=category, target=name_of(operator), message=str(error))
    category = _category(operator, narrow, wide, mixed)
    seen = f"{narrow.dtypes}, {wide.dtypes}, {mixed.dtypes}" if category is Category.OTHER else ""
    return Treatment(category=category, target=name_of(narrow.operator), message=seen)


def _category(operator: OpOverload, narrow: _Call, wide: _Call, mixed: _Call) -> Category:
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
    first, second, third = (0 if dtypes == half else 1 if dtypes == single else 2 for dtypes in after)
    return known.get((first, second, third), Category.OTHER)


def _observe(operator: OpOverload, device_type: str, dtypes: Iterator[torch.dtype]) -> _Call:
    """Call an operator under autocast with tensors of `dtypes` and return what came out below."""
    calls: list[_Call] = []
    shell = _shells(device_type)
    arguments = [(each, _argument(each, dtypes, shell)) for each in operator._schema.arguments]
    args = [value for each, value in arguments if not each.kwarg_only]
    kwargs = {each.name: value for each, value in arguments if each.kwarg_only}
    tracer = torch._C._parse_dispatch_key("Tracer")
    assert tracer is not None
    with _recorders(operator, calls, shell), torch._C._IncludeDispatchKeyGuard(tracer), contextlib.suppress(_Seen):
        operator(*args, **kwargs)
    if not calls:
        raise AssertionError(f"autocast's kernel for {name_of(operator)} called nothing")
    return calls[0]


@contextlib.contextmanager
def _recorders(operator: OpOverload, calls: list[_Call], shell: Callable[[torch.dtype], Tensor]) -> Iterator[None]:
    opened = [library(operator.namespace), library("aten")]
    packet = operator.overloadpacket
    for overload in (getattr(packet, name) for name in packet.overloads()):
        implement(opened[0], overload, functools.partial(_record, calls, overload), "Tracer")
    implement(opened[1], torch.ops.aten._to_copy.default, functools.partial(_cast, shell), "Tracer")
    try:
        yield
    finally:
        for each in opened:
            each._destroy()  # type: ignore[no-untyped-call]


def _record(calls: list[_Call], operator: OpOverload, *args: Any, **kwargs: Any) -> Any:
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
    values = {"int": 1, "SymInt": 1, "number": 1, "float": 1.0, "bool": False, "List[bool]": [False]}
    values |= {"str": "dimname::x", "List[str]": ["dimname::x"]}  # older releases know dimensions by names, written so
    if kind in values:
        return values[kind]
    if kind.startswith("List["):
        return [1]
    raise AssertionError(f"no value is known for an argument of type {kind}")


def _shells(device_type: str) -> Callable[[torch.dtype], Tensor]:
    class Shell(torch.Tensor):
        """Has a device and a dtype and nothing else."""

        __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

        @classmethod
        def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
            raise AssertionError(f"{func} went past the recorder")

    device = torch.device(device_type)
    return lambda dtype: torch.Tensor._make_wrapper_subclass(Shell, (2, 2), dtype=dtype, device=device)
