"""Hears what a GradScaler is asked to do, by the program or by itself."""

from __future__ import annotations

import contextlib
import functools
import importlib
import weakref
from typing import TYPE_CHECKING, Any

import torch

from ..events import (
    LossScaled,
    ScalerMade,
    ScalerRefused,
    ScalerStepped,
    ScalerStepping,
    ScalerUpdated,
    Unscaled,
    Unscaling,
)
from ..gradients import MIXED, SCALED, UNSCALED
from ..run import ScalerSeen

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run

_METHODS = ("unscale_", "step", "update")


def install(run: Run, patches: Patches) -> None:
    for owner in _classes():
        make: dict[str, Callable[..., Any]] = {
            "__init__": _made,
            "scale": _scale,
            "unscale_": _unscale,
            "step": _step,
            "update": _update,
        }
        for name, wrapper in make.items():
            if name in vars(owner):
                patches.wrap(owner, name, functools.partial(wrapper, run))


def _classes() -> list[type]:
    """Return torch's scaler and every subclass known so far that brings methods of its own."""
    found: list[type] = []
    todo: list[type] = [torch.amp.GradScaler]
    with contextlib.suppress(ImportError):  # a torch built without distributed has no sharded scaler
        importlib.import_module("torch.distributed.fsdp.sharded_grad_scaler")
    while todo:
        owner = todo.pop()
        if owner not in found:
            found.append(owner)
            todo += owner.__subclasses__()
    return found


def _outermost(run: Run, scaler: Any, name: str) -> bool:
    """Whether this call is the program's: not ours, and not that of an overriding method to the one it overrides."""
    return not run.muted and (id(scaler), name) not in run.local.inside


def _made(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def made(scaler: Any, *args: Any, **kwargs: Any) -> None:
        if not _outermost(run, scaler, "__init__"):
            original(scaler, *args, **kwargs)
            return
        run.local.inside.add((id(scaler), "__init__"))
        try:
            original(scaler, *args, **kwargs)
        finally:
            run.local.inside.discard((id(scaler), "__init__"))
        place = run.place()
        deprecated = type(scaler).__module__ in ("torch.cuda.amp.grad_scaler", "torch.cpu.amp.grad_scaler")
        if scaler.is_enabled():
            know(run, scaler, place)
        run.emit(ScalerMade(place=place, step=run.step, scaler=scaler, args=args, kwargs=kwargs, deprecated=deprecated))

    return made


def know(run: Run, scaler: Any, place: tuple[str, int] = ("", 0)) -> ScalerSeen:
    """Return what is known of an enabled scaler; one that was made before we listened is met here."""
    seen = run.scalers.get(id(scaler))
    if seen is None or seen.scaler() is not scaler:
        seen = ScalerSeen(scaler=weakref.ref(scaler), made_at=place, made_in_step=run.step, via=run.frames.via())
        run.scalers[id(scaler)] = seen
    return seen


def _scale(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def scale(scaler: Any, outputs: Any) -> Any:
        if not scaler.is_enabled() or not _outermost(run, scaler, "scale"):
            return original(scaler, outputs)
        know(run, scaler)
        results = original(scaler, outputs)
        before = [one for one in _flat(outputs) if isinstance(one, torch.Tensor)]
        after = [one for one in _flat(results) if isinstance(one, torch.Tensor)]
        already = run.close and any(run.scale_nodes.below(one) for one in before)
        for result in after:
            run.scale_nodes.add(result, id(scaler))
        run.emit(
            LossScaled(
                place=run.place(),
                step=run.step,
                scaler=scaler,
                outputs=tuple(before),
                results=tuple(after),
                already=already,
            )
        )
        return results

    return scale


def _flat(value: Any) -> list[Any]:
    return [one for part in value for one in _flat(part)] if isinstance(value, (list, tuple)) else [value]


def _unscale(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def unscale(scaler: Any, optimizer: Any) -> None:
        if not scaler.is_enabled() or not _outermost(run, scaler, "unscale_"):
            original(scaler, optimizer)
            return
        seen = know(run, scaler)
        place, explicit = run.place(), run.local.stepping is not scaler
        gradients = run.gradients.of_optimizer(optimizer)
        run.look_for_edits(gradients, "unscale", place)
        run.emit(
            Unscaling(
                place=place, step=run.step, scaler=scaler, optimizer=optimizer, explicit=explicit, gradients=gradients
            )
        )
        _guarded(run, "unscale_", scaler, optimizer, lambda: original(scaler, optimizer))
        seen.unscaled.add(id(optimizer))
        for gradient in gradients:
            if gradient.state == SCALED and gradient.scaler == id(scaler):
                gradient.state = UNSCALED
            elif gradient.state == UNSCALED:
                gradient.state, gradient.reason = MIXED, "unscaled twice"
            if run.close:
                gradient.settle()
        run.emit(
            Unscaled(
                place=place, step=run.step, scaler=scaler, optimizer=optimizer, explicit=explicit, gradients=gradients
            )
        )

    return unscale


def _step(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def step(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if not scaler.is_enabled() or not _outermost(run, scaler, "step"):
            return original(scaler, optimizer, *args, **kwargs)
        seen = know(run, scaler)
        place, local = run.place(), run.local
        run.emit(
            ScalerStepping(place=place, step=run.step, scaler=scaler, optimizer=optimizer, args=args, kwargs=kwargs)
        )
        outer, local.stepping = local.stepping, scaler
        try:
            result = _guarded(run, "step", scaler, optimizer, lambda: original(scaler, optimizer, *args, **kwargs))
        finally:
            local.stepping = outer
        skipped = found_inf(scaler, optimizer)
        seen.steps[id(optimizer)] = skipped
        run.emit(ScalerStepped(place=place, step=run.step, scaler=scaler, optimizer=optimizer, skipped=skipped))
        run.steps.optimizer_stepped(optimizer, skipped=skipped, scaled=True)
        return result

    return step


def found_inf(scaler: Any, optimizer: Any) -> bool:
    """Whether a gradient was not finite. `scaler.step` has just read this itself, so the device has nothing to do."""
    state = scaler._per_optimizer_states[id(optimizer)]
    return any(bool(found.item()) for found in state["found_inf_per_device"].values())


def _update(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def update(scaler: Any, new_scale: Any = None) -> None:
        if not scaler.is_enabled() or not _outermost(run, scaler, "update"):
            original(scaler, new_scale)
            return
        seen = know(run, scaler)
        place = run.place()
        before = run.scale_of(id(scaler))
        _guarded(run, "update", scaler, None, lambda: original(scaler, new_scale))
        skipped = any(seen.steps.values())
        seen.updates += 1
        after = run.scale_of(id(scaler))
        run.emit(
            ScalerUpdated(
                place=place,
                step=run.step,
                scaler=scaler,
                before=before,
                after=after,
                skipped=skipped,
                new_scale=new_scale,
            )
        )
        seen.steps.clear()
        seen.unscaled.clear()
        run.steps.updated()

    return update


def _guarded(run: Run, method: str, scaler: Any, optimizer: Any, call: Callable[[], Any]) -> Any:
    """Call torch's method; what it raises by itself is told, and goes on to the program."""
    key = (id(scaler), method)
    run.local.inside.add(key)
    try:
        return call()
    except (RuntimeError, AssertionError, ValueError, AttributeError) as error:
        run.emit(
            ScalerRefused(
                place=run.place(), step=run.step, scaler=scaler, optimizer=optimizer, method=method, error=error
            )
        )
        raise
    finally:
        run.local.inside.discard(key)
