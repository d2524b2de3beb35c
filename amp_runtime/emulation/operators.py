"""Lists the operators of the installed PyTorch and what their schemas say of them."""

from __future__ import annotations

import warnings
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch._ops import OpOverload


# Asked for since PyTorch 2.8 or so; before, kernels made in C++ are replaced without asking.
_REPLACE = {"allow_override": True} if "allow_override" in signature(torch.library.Library.impl).parameters else {}


def all_operators() -> Iterator[OpOverload]:
    """Yield the operators of every namespace, those of loaded extensions included."""
    names = {name.partition("::")[0] for name in torch._C._dispatch_get_all_op_names()}
    for namespace in sorted(names):
        yield from operators(namespace)


def operators(namespace: str = "aten") -> Iterator[OpOverload]:
    """Yield every overload that Python can call, by name."""
    packets = getattr(torch.ops, namespace)
    for qualified in sorted(torch._C._dispatch_get_all_op_names()):
        prefix, _, name = qualified.partition("::")
        if prefix != namespace:
            continue
        packet, _, overload = name.partition(".")
        try:
            yield getattr(getattr(packets, packet), overload or "default")
        except AttributeError:  # operators of TorchScript, which run in its interpreter alone
            continue


def name_of(operator: OpOverload) -> str:
    """Return namespace, name and overload: `"aten::softmax.int"`, or `"aten::linear"` where there is but one."""
    schema = operator._schema
    return f"{schema.name}.{schema.overload_name}" if schema.overload_name else str(schema.name)


def has_kernel(operator: OpOverload, key: str) -> bool:
    """Return whether a kernel is registered for the operator under exactly this dispatch key."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(name_of(operator), key))


def is_view(operator: OpOverload) -> bool:
    """Return whether a result shares memory with an argument that is not written to."""
    aliases = (result.alias_info for result in operator._schema.returns)
    return any(alias is not None and not alias.is_write for alias in aliases)


def written(operator: OpOverload) -> tuple[tuple[int, str], ...]:
    """Return position and name of every argument that the operator writes to."""
    arguments = enumerate(operator._schema.arguments)
    return tuple((i, each.name) for i, each in arguments if each.alias_info is not None and each.alias_info.is_write)


def returned(operator: OpOverload) -> tuple[tuple[int, str], ...]:
    """Return position and name of the arguments that are the operator's results; empty where results are new."""
    positions = {}
    for position, argument in enumerate(operator._schema.arguments):
        if argument.alias_info is not None:
            positions.update(dict.fromkeys(argument.alias_info.before_set, (position, argument.name)))
    aliases = (result.alias_info for result in operator._schema.returns)
    return tuple(positions[min(alias.before_set)] for alias in aliases if alias is not None)


def library(namespace: str) -> torch.library.Library:
    """Open a namespace for kernels; they live as long as what is returned."""
    opened: torch.library.Library = torch.library.Library(namespace, "IMPL")  # type: ignore[no-untyped-call]
    return opened


def implement(opened: torch.library.Library, operator: OpOverload, kernel: Callable[..., Any], key: str) -> None:
    """Register a kernel, in the place of another if need be, without PyTorch's warning that one is replaced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened.impl(name_of(operator), kernel, key, **_REPLACE)  # type: ignore[no-untyped-call]
