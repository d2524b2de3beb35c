"""Chooses, from schemas and registrations, how each operator runs on the emulated device, and registers it so."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from . import metadata
from .kernels import Kernel, below_autograd, lowered, raised
from .operators import has_kernel, implement, is_view, library, name_of, operators, returned, written
from .substitutes import SUBSTITUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch._ops import OpOverload

# Composed of other operators, and one of its results belongs on the CPU.
_LEFT_ALONE = ("aten::_pack_padded_sequence",)
_COMPOSITE = ("CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional")


def register(generator: torch.Generator) -> tuple[torch.library.Library, ...]:
    """Register a kernel under the key CUDA for every operator that needs one; they live as long as what is returned.

    Args:
        generator: draws the random numbers of operators on the emulated device.
    """
    opened = library("aten")
    for operator in operators():
        kernel = _kernel(operator, generator)
        if kernel is not None:
            implement(opened, operator, kernel, "CUDA")
    others = library("_")
    others.fallback(functools.partial(_of_another_library, generator), "CUDA")  # type: ignore[no-untyped-call]
    return opened, others


def _kernel(operator: OpOverload, generator: torch.Generator) -> Callable[..., Any] | None:
    name = name_of(operator)
    if name in SUBSTITUTES:
        return functools.partial(_substituted, SUBSTITUTES[name])
    if name == "aten::resize_":
        return metadata.resize
    if is_view(operator) or torch.Tag.inplace_view in operator.tags:
        return functools.partial(metadata.on_itself, operator) if has_kernel(operator, "CPU") else None
    if name not in _LEFT_ALONE and any(has_kernel(operator, key) for key in ("CPU", "CUDA", *_COMPOSITE)):
        return _of(operator, generator)
    return None


def _of(operator: OpOverload, generator: torch.Generator) -> Kernel:
    return Kernel(
        operator=operator,
        written=written(operator),
        returned=returned(operator),
        generator=generator if torch.Tag.nondeterministic_seeded in operator.tags else None,
    )


def _substituted(body: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with below_autograd():
        return raised(body(*lowered(args), **{name: lowered(value) for name, value in kwargs.items()}))


def _of_another_library(generator: torch.Generator, operator: OpOverload, *args: Any, **kwargs: Any) -> Any:
    if is_view(operator):
        return metadata.on_itself(operator, *args, **kwargs)
    return _of(operator, generator)(*args, **kwargs)
