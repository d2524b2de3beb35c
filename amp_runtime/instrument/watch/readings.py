"""Hears the number of a scaled loss being read, from the first time on that a program keeps one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from ..scaling_events import LossRead

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run


def install(run: Run, patches: Patches) -> None:
    run.read_losses = functools.partial(_install, run, patches)
    for name in ("numpy", "tolist"):
        patches.wrap(torch.Tensor, name, lambda original: _out_of_torch(run, original))


def _out_of_torch(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def taken(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if run.window.look is not None and not run.muted:
            run.window.look.reads(tensor, original.__name__)
        return original(tensor, *args, **kwargs)

    return taken


def _install(run: Run, patches: Patches) -> None:
    """Listen to every tensor whose number is read: too dear for programs that keep no scaled loss."""
    run.read_losses = None
    for name in ("item", "__float__"):
        patches.wrap(torch.Tensor, name, lambda original: _number(run, original))


def _number(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def number(tensor: Any) -> Any:
        result = original(tensor)
        if type(tensor) is torch.Tensor and run.scaled and isinstance(result, float) and not run.muted:
            address = tensor.data_ptr()
            for alias, scaler in run.scaled:
                if alias.data_ptr() == address:
                    place = run.place()
                    run.emit(LossRead(place=place, step=run.step, scaler=scaler, value=result))
                    break
        return result

    return number
