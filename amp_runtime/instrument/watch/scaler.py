"""Hears what a GradScaler is asked to do, by the program or by itself."""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch.amp.grad_scaler import OptState

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
from ..gradients import MIXED, ONTO_UNSCALED, SCALED, UNKNOWN, UNSCALED, UNSCALED_TWICE, Division, healthy
from ..run import ScalerSeen
from .backward import catch_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..gradients import Gradient, Group
    from ..patches import Patches
    from ..run import Run

Place = tuple[str, int]
_TOLD = "__amp_sanitizer_refused__"


def install(run: Run, patches: Patches) -> None:
    methods: dict[str, Callable[..., Any]] = {
        "__init__": _made,
        "scale": _scale,
        "unscale_": _unscale,
        "step": _step,
        "update": _update,
        "get_scale": _get_scale,
    }

    def listen(owner: type) -> None:
        for name, wrapper in methods.items():
            if name in vars(owner) and not patches.wrapped(owner, name):
                patches.wrap(owner, name, functools.partial(wrapper, run))

    for owner in _classes():
        listen(owner)
    patches.wrap(torch.amp.GradScaler, "__init__", functools.partial(_met, listen))


def _met(listen: Callable[[type], None], original: Callable[..., Any]) -> Callable[..., Any]:
    """Meet a subclass that is defined after we began to listen, such as a program's own, when one of it is made."""

    def made(scaler: Any, *args: Any, **kwargs: Any) -> None:
        for owner in type(scaler).__mro__:
            if owner is not torch.amp.GradScaler and issubclass(owner, torch.amp.GradScaler):
                listen(owner)
        original(scaler, *args, **kwargs)

    return made


def _classes() -> list[type]:
    """Return torch's scaler and every subclass known so far that brings methods of its own."""
    found: list[type] = []
    todo: list[type] = [torch.amp.GradScaler]
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
        guarded(run, "__init__", scaler, None, lambda: original(scaler, *args, **kwargs))
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


def _belongs(run: Run, seen: ScalerSeen) -> None:
    """Note the package that uses a scaler, if it is none of the program's."""
    if not seen.via:
        seen.via = run.frames.via()


def _scale(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def scale(scaler: Any, outputs: Any) -> Any:
        if run.resting or not scaler.is_enabled() or not _outermost(run, scaler, "scale"):
            return original(scaler, outputs)
        _belongs(run, know(run, scaler))
        results = original(scaler, outputs)
        place = run.place()
        before = tuple(one for one in _flat(outputs) if isinstance(one, torch.Tensor))
        after = tuple(one for one in _flat(results) if isinstance(one, torch.Tensor))
        for result in after:
            run.scale_nodes.add(result, id(scaler), place)
            if not result.dim() and result.requires_grad:
                _remember(run, result, id(scaler))
        run.emit(LossScaled(place=place, step=run.step, scaler=scaler, outputs=before, results=after))
        return results

    return scale


def _remember(run: Run, result: Any, scaler: int) -> None:
    """Keep an eye on a scaled loss while the program keeps it: it may be read as if it were the loss."""
    run.scaled.append((result.detach(), scaler))
    if run.read_losses is not None:
        run.kept.append(weakref.ref(result))


def _get_scale(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def get_scale(scaler: Any) -> Any:
        if scaler.is_enabled() and _outermost(run, scaler, "get_scale"):
            know(run, scaler).read_at.add(run.place())
            run.window.asked = True
        return original(scaler)

    return get_scale


def _flat(value: Any) -> list[Any]:
    return [one for part in value for one in _flat(part)] if isinstance(value, (list, tuple)) else [value]


def _unscale(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def unscale(scaler: Any, optimizer: Any) -> None:
        if run.resting or not scaler.is_enabled() or not _outermost(run, scaler, "unscale_"):
            original(scaler, optimizer)
            return
        seen, place, explicit = know(run, scaler), run.place(), run.local.stepping is not scaler
        gradients = run.gradients.of_optimizer(optimizer)
        if _stage(scaler, optimizer) is OptState.READY:  # else torch refuses
            _unscaling(run, seen, scaler, optimizer, gradients, place, explicit=explicit)
        guarded(run, "unscale_", scaler, optimizer, lambda: original(scaler, optimizer), gradients=gradients)
        _unscaled(run, seen, scaler, optimizer, gradients, place, explicit=explicit)

    return unscale


def _unscaling(
    run: Run, seen: ScalerSeen, scaler: Any, optimizer: Any, gradients: Group, place: Place, *, explicit: bool
) -> None:
    if run.local.backward:
        catch_up(run, gradients, place)
    else:
        run.window.edits(gradients, "unscale", place)
    run.emit(
        Unscaling(
            place=place,
            step=run.step,
            scaler=scaler,
            optimizer=optimizer,
            explicit=explicit,
            gradients=gradients,
            healthy=healthy(gradients, id(scaler), seen.updates),
        )
    )


def _unscaled(
    run: Run, seen: ScalerSeen, scaler: Any, optimizer: Any, gradients: Group, place: Place, *, explicit: bool
) -> None:
    """Write down that the gradients of an optimizer were unscaled."""
    seen.unscaled_at[id(optimizer)] = place
    division = Division(id(optimizer), place, seen.updates)
    for holding in gradients.own():
        if holding.state == UNSCALED:
            holding.mix(UNSCALED_TWICE, place)
        elif holding.state == MIXED and holding.reason == ONTO_UNSCALED:
            holding.reason = UNSCALED_TWICE
        elif holding.state in (SCALED, UNKNOWN):
            holding.state = UNSCALED
        holding.division = division
    run.settle(gradients)
    run.emit(
        Unscaled(place=place, step=run.step, scaler=scaler, optimizer=optimizer, explicit=explicit, gradients=gradients)
    )


def _step(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def step(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if not scaler.is_enabled():
            return original(scaler, optimizer, *args, **kwargs)
        if not _outermost(run, scaler, "step"):
            result = original(scaler, optimizer, *args, **kwargs)
            run.local.skipped = found_inf(scaler, optimizer)  # before an overriding method updates the scaler
            return result
        if run.resting:
            return _rested(run, scaler, optimizer, lambda: original(scaler, optimizer, *args, **kwargs))
        seen, place = know(run, scaler), run.place()
        _belongs(run, seen)
        gradients = run.gradients.of_optimizer(optimizer)
        stage = _stage(scaler, optimizer)
        run.emit(
            ScalerStepping(
                place=place,
                step=run.step,
                scaler=scaler,
                optimizer=optimizer,
                gradients=gradients,
                unscaled=stage is OptState.UNSCALED,
                mixed=any(holding.state == MIXED for holding in gradients.seen()),
                args=args,
                kwargs=kwargs,
            )
        )
        # such an optimizer unscales in its own step, unseen by `unscale_`
        fused = getattr(optimizer, "_step_supports_amp_scaling", False) and stage is OptState.READY
        if fused:
            _unscaling(run, seen, scaler, optimizer, gradients, place, explicit=False)
        closure = "closure" in kwargs or any(callable(one) for one in args)
        result = _stepped(
            run, scaler, optimizer, gradients, lambda: original(scaler, optimizer, *args, **kwargs), closure=closure
        )
        if fused:
            _unscaled(run, seen, scaler, optimizer, gradients, place, explicit=False)
        skipped = found_inf(scaler, optimizer) if run.local.skipped is None else run.local.skipped
        if skipped or not (gradients and gradients[-1].used):  # else the step itself has noted it
            for holding in gradients.own():
                holding.used = True
        seen.steps[id(optimizer)], seen.stepped_at[id(optimizer)] = skipped, place
        run.emit(ScalerStepped(place=place, step=run.step, scaler=scaler, optimizer=optimizer, skipped=skipped))
        run.steps.optimizer_stepped(optimizer, skipped=skipped, scaled=True)
        return result

    return step


def _rested(run: Run, scaler: Any, optimizer: Any, call: Callable[[], Any]) -> Any:
    """Step in a step of the training that is left alone, but for whether it counts."""
    outer, run.local.stepping, run.local.skipped = run.local.stepping, scaler, None
    run.local.inside.add((id(scaler), "step"))
    try:
        result = call()
    finally:
        run.local.stepping = outer
        run.local.inside.discard((id(scaler), "step"))
    skipped = found_inf(scaler, optimizer) if run.local.skipped is None else run.local.skipped
    know(run, scaler).steps[id(optimizer)] = skipped
    run.steps.optimizer_stepped(optimizer, skipped=skipped, scaled=True)
    return result


def _stage(scaler: Any, optimizer: Any) -> OptState:
    """Return what the scaler itself remembers of an optimizer; a program may have made it forget."""
    state = scaler._per_optimizer_states.get(id(optimizer))
    return OptState.READY if state is None else state["stage"]


def _stepped(run: Run, scaler: Any, optimizer: Any, gradients: Group, call: Callable[[], Any], *, closure: bool) -> Any:
    local = run.local
    outer, local.stepping, local.skipped = local.stepping, scaler, None
    try:
        return guarded(run, "step", scaler, optimizer, call, gradients=gradients, closure=closure)
    finally:
        local.stepping = outer


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
        guarded(run, "update", scaler, None, lambda: original(scaler, new_scale))
        seen.updates += 1
        seen.updated_at = place
        run.emit(
            ScalerUpdated(
                place=place,
                step=run.step,
                scaler=scaler,
                before=before,
                after=run.scale_of(id(scaler)),
                skipped=any(seen.steps.values()),
                new_scale=new_scale,
            )
        )
        seen.steps.clear()
        seen.stepped_at.clear()
        seen.unscaled_at.clear()
        if run.read_losses is not None and any(kept() is not None for kept in run.kept):
            run.read_losses()
        run.kept.clear()
        run.steps.updated()

    return update


def guarded(
    run: Run,
    method: str,
    scaler: Any,
    optimizer: Any,
    call: Callable[[], Any],
    *,
    gradients: Sequence[Gradient] = (),
    closure: bool = False,
) -> Any:
    """Call torch's method; what it raises by itself is told, and goes on to the program."""
    key = (id(scaler), method)
    run.local.inside.add(key)
    try:
        return call()
    except (RuntimeError, AssertionError, ValueError, AttributeError) as error:
        if getattr(error, _TOLD, False):  # by unscale_ inside step
            raise
        setattr(error, _TOLD, True)
        run.emit(
            ScalerRefused(
                place=run.place(),
                step=run.step,
                scaler=scaler,
                optimizer=optimizer,
                method=method,
                error=error,
                gradients=list(gradients),
                closure=closure,
            )
        )
        raise
    finally:
        run.local.inside.discard(key)
