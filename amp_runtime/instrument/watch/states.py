"""Hears states being saved and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .. import staleness
from ..events import StateLoaded, StateSaved
from ..graph import now
from . import rechecking

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run


def install(run: Run, patches: Patches) -> None:
    patches.wrap(torch, "save", lambda original: _save(run, original))
    for owner in (torch.nn.Module, torch.optim.Optimizer, torch.amp.GradScaler):
        patches.wrap(owner, "load_state_dict", lambda original: _load(run, original))


def _save(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def save(obj: Any, *args: Any, **kwargs: Any) -> Any:
        if not run.muted:
            run.emit(StateSaved(place=run.place(), step=run.step, what=obj))
        return original(obj, *args, **kwargs)

    return save


def _load(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def load(target: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        if run.muted:
            return original(target, state, *args, **kwargs)
        before, first = _dtypes(target), now()
        result = original(target, state, *args, **kwargs)
        if isinstance(target, torch.nn.Module) and run.local.regions and staleness.may_be_cached(run, "cpu"):
            staleness.wrote(run, "load", "load_state_dict", list(target.parameters()), first)
            rechecking.arm(run, target)
        run.emit(
            StateLoaded(
                place=run.place(), step=run.step, target=target, state=state, before=before, after=_dtypes(target)
            )
        )
        return result

    return load


def _dtypes(target: Any) -> tuple[str, ...]:
    """Return the dtypes of a module's parameters, or of the tensors in an optimizer's state, in order."""
    if isinstance(target, torch.nn.Module):
        return tuple(str(parameter.dtype).removeprefix("torch.") for parameter in target.parameters())
    if isinstance(target, torch.optim.Optimizer):
        values = (value for state in target.state.values() for value in state.values())
        return tuple(
            str(value.dtype).removeprefix("torch.")
            for value in values
            if isinstance(value, torch.Tensor) and value.is_floating_point()
        )
    return ()
