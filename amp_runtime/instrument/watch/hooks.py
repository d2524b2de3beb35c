"""Looks at what gradient hooks do with the gradients of a scaled loss."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import torch

from ..looking import Look

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run


def install(run: Run, patches: Patches) -> None:
    patches.wrap(torch, "compile", lambda original: _compiled(run, original))
    patches.wrap(torch.Tensor, "register_hook", lambda original: _registered(run, original))
    patches.wrap(torch.Tensor, "register_post_accumulate_grad_hook", lambda original: _registered(run, original))


def _compiled(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def compiled(*args: Any, **kwargs: Any) -> Any:
        run.window.compiles = True
        return original(*args, **kwargs)

    return compiled


def _registered(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def register(tensor: Any, hook: Any) -> Any:
        caller = sys._getframe(2).f_globals.get("__name__", "")  # 1 is the patch
        if run.muted or caller.startswith("torch.") or not callable(hook):
            return original(tensor, hook)
        return original(tensor, _watched(run, hook))

    return register


def _watched(run: Run, hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(hook)
    def watched(tensor: Any) -> Any:
        provenance = run.local.provenance
        scaler = next((way[0] for way in provenance.ways if way), 0) if provenance is not None else 0
        if not scaler or not run.close or run.muted or run.window.compiles or not Look.possible():
            return hook(tensor)
        gradient = tensor.grad if tensor.is_leaf and tensor.requires_grad else tensor
        look = Look(run, [gradient], run.scale_of(scaler))
        look.enter()
        try:
            result = hook(tensor)
            look.judge_result(result)
        finally:
            look.leave()
        for event in look.events(clipped=False, asked=False):
            event.place = run.place()
            run.emit(event)
        return result

    return watched
