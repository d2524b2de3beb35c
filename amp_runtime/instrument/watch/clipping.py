"""Hears gradients being clipped, also through names that were imported before we listened."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils import clip_grad

from ..events import Clipping
from ..scaling_events import ClipRaised
from .backward import catch_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..gradients import Group
    from ..patches import Patches
    from ..run import Run


def install(run: Run, patches: Patches) -> None:
    # the public functions look these up when they are called
    patches.wrap(clip_grad, "_get_total_norm", lambda original: _total_norm(run, original))
    patches.wrap(clip_grad, "_clip_grads_with_norm_", lambda original: _by_norm(run, original))
    for owner in (clip_grad, torch.nn.utils):
        patches.wrap(owner, "clip_grad_value_", lambda original: _by_value(run, original))
    patches.wrap(clip_grad, "_group_tensors_by_device_and_dtype", lambda original: _grouped(run, original))


def _listed(parameters: Any) -> Any:
    """Return parameters so that they can be read twice: callers may pass a generator."""
    return [parameters] if hasattr(parameters, "grad") else list(parameters)


def _total_norm(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def total_norm(*args: Any, **kwargs: Any) -> Any:
        raises = bool(kwargs.get("error_if_nonfinite", args[2] if len(args) > 2 else False))
        run.local.raises = raises
        if not raises or run.idle:
            return original(*args, **kwargs)
        grads = _listed(args[0] if args else kwargs["tensors"])
        try:
            return original(grads, *args[1:], **{name: one for name, one in kwargs.items() if name != "tensors"})
        except RuntimeError:
            gradients = run.gradients.holding(grads)
            run.emit(ClipRaised(place=run.place(), step=run.step, gradients=gradients))
            raise

    return total_norm


def _by_norm(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def clip(parameters: Any, max_norm: Any, total_norm: Any, *args: Any, **kwargs: Any) -> Any:
        if run.idle:
            return original(parameters, max_norm, total_norm, *args, **kwargs)
        parameters = _listed(parameters)
        gradients, unknown = run.gradients.among(parameters, again=not run.close)
        _tell(run, "norm", gradients, unknown, max_norm, total_norm)
        try:
            return original(parameters, max_norm, total_norm, *args, **kwargs)
        finally:
            run.settle(gradients)

    return clip


def _by_value(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def clip(parameters: Any, clip_value: Any, *args: Any, **kwargs: Any) -> Any:
        if run.idle:
            return original(parameters, clip_value, *args, **kwargs)
        parameters = _listed(parameters)
        gradients, unknown = run.gradients.among(parameters, again=not run.close)
        _tell(run, "value", gradients, unknown, clip_value, None)
        run.local.clipping = True
        try:
            return original(parameters, clip_value, *args, **kwargs)
        finally:
            run.local.clipping = False
            run.settle(gradients)

    return clip


def _grouped(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    """Meet the `clip_grad_value_` of a program that imported it before we listened: it calls this to begin with."""

    def grouped(*args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(2)  # behind the wrapper that `Patches` makes
        if not run.idle and not run.local.clipping and caller.f_code.co_name == "clip_grad_value_":
            held = run.gradients.holding(caller.f_locals["grads"])
            _tell(run, "value", held, 0, caller.f_locals["clip_value"], None)
        return original(*args, **kwargs)

    return grouped


def _tell(run: Run, kind: Any, gradients: Group, unknown: int, limit: Any, norm: Any) -> None:
    place = run.place()
    if run.local.backward:
        catch_up(run, gradients, place)
    else:
        run.window.edits(gradients, "clip", place)
    raises, run.local.raises = run.local.raises, False
    run.emit(
        Clipping(
            place=place,
            step=run.step,
            kind=kind,
            limit=limit,
            norm=norm,
            gradients=gradients,
            unknown=unknown,
            nonfinite_raises=raises,
        )
    )
