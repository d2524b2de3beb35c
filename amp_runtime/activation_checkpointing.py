"""Activation checkpointing: chosen modules forget what lies inside them and compute it again for the backward pass."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

Chosen = type[torch.nn.Module] | tuple[type[torch.nn.Module], ...] | Callable[[str, torch.nn.Module], bool]

_MARK = "_recomputed_forward"


def checkpoint_activations(model: torch.nn.Module, chosen: Chosen) -> tuple[str, ...]:
    """Make chosen modules of `model` recompute their activations in the backward pass, and return their names.

    It saves memory for about one more forward pass of these modules. Values, gradients and dtypes stay the same: the
    second forward runs under the autocast state and the random generators of the first, and leaves buffers alone,
    which a plain `torch.utils.checkpoint` does not (BatchNorm's running statistics would advance twice per step).
    The non-reentrant implementation is used, so keyword arguments, nested outputs, inputs without gradients and
    gradient penalties work. Parameters and the state dict keep their names. Without gradients, as in validation,
    nothing changes.

    Call it before `torch.compile`, DistributedDataParallel or `fully_shard`.

    Args:
        chosen: a module class or several, or a function of a module's name and the module.

    Raises:
        ValueError: nothing was chosen, a module that already recomputes, or one inside another chosen one, which would
            compute its activations three times.
    """
    wanted = _judge(chosen)
    names = [(name, module) for name, module in model.named_modules() if wanted(name, module)]
    if not names:
        raise ValueError(
            "no module of the model was chosen, so no activation would be saved; see model.named_modules()"
        )
    for name, module in names:
        inner = [other for other, inside in module.named_modules() if inside is not module and _is_wrapped(inside)]
        inside = [other for other, _ in names if other != name and other.startswith(f"{name}." if name else "")]
        if inner or inside:
            raise ValueError(f"{(inside or inner)[0]!r} lies inside {name!r}, which is chosen too; choose one of them")
        if _is_wrapped(module):
            raise ValueError(f"{name!r} already recomputes its activations")
    for _, module in names:
        _wrap(module)
    return tuple(name for name, _ in names)


def _judge(chosen: Chosen) -> Callable[[str, torch.nn.Module], bool]:
    if isinstance(chosen, (type, tuple)):
        return lambda _, module: isinstance(module, chosen)
    return chosen


def _is_wrapped(module: torch.nn.Module) -> bool:
    return _MARK in module.__dict__


def _wrap(module: torch.nn.Module) -> None:
    # On the instance: a wrapper module would change the names in the state dict.
    module.__dict__[_MARK] = module.forward
    module.forward = functools.partial(_recomputing, module)


def _recomputing(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    forward = module.__dict__[_MARK]
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    if next(module.buffers(), None) is None:
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, context_fn=functools.partial(_contexts, module), **kwargs)


def _contexts(
    module: torch.nn.Module,
) -> tuple[contextlib.AbstractContextManager[None], contextlib.AbstractContextManager[None]]:
    """Return the contexts for the first and the second forward pass."""
    return contextlib.nullcontext(), _buffers_kept(module)


@contextlib.contextmanager
def _buffers_kept(module: torch.nn.Module) -> Iterator[None]:
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:  # the second forward ends by an exception as soon as it has computed enough
        for buffer, value in before:
            # Through .data: the backward pass holds the buffer, and would refuse it as changed.
            buffer.data.copy_(value)
