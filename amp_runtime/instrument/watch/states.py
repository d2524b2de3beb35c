"""Hears states being saved and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .. import staleness
from ..events import StateLoaded, StateSaved
from ..graph import now
from ..scaling_events import StateRead, StateTaken
from . import rechecking
from .scaler import guarded, know

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run


def install(run: Run, patches: Patches) -> None:
    patches.wrap(torch, "save", lambda original: _save(run, original))
    patches.wrap(torch, "load", lambda original: _read(run, original))
    for owner in (torch.nn.Module, torch.optim.Optimizer):
        patches.wrap(owner, "load_state_dict", lambda original: _load(run, original))
    patches.wrap(torch.amp.GradScaler, "load_state_dict", lambda original: _load(run, _told(run, original)))
    patches.wrap(torch.optim.Optimizer, "state_dict", lambda original: _take(run, original))
    patches.wrap(torch.amp.GradScaler, "state_dict", lambda original: _take(run, original))


def _save(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def save(obj: Any, *args: Any, **kwargs: Any) -> Any:
        if not run.muted:
            run.emit(StateSaved(place=run.place(), step=run.step, what=obj))
        return original(obj, *args, **kwargs)

    return save


def _read(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def read(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if not run.muted:
            run.emit(StateRead(place=run.place(), step=run.step, what=result))
        return result

    return read


def _take(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def take(owner: Any, *args: Any, **kwargs: Any) -> Any:
        state = original(owner, *args, **kwargs)
        if not run.muted:
            run.emit(StateTaken(place=run.place(), step=run.step, owner=owner, state=state))
        return state

    return take


def _told(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    """Load the state of a scaler; where it refuses, tell."""

    def load(scaler: Any, state: Any) -> None:
        guarded(run, "load_state_dict", scaler, None, lambda: original(scaler, state))
        if scaler.is_enabled():
            know(run, scaler).loaded = True

    return load


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
