"""Hears `backward` and `autograd.grad`, and follows the graph from their roots before it is freed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..events import BackwardDone, BackwardStarting, GradTaken
from ..gradients import CLEAN, MIXED, PLAIN, SCALED, UNSCALED, Gradient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..patches import Patches
    from ..provenance import Provenance
    from ..run import Run


_MOST_PLACES = 1000


def install(run: Run, patches: Patches) -> None:
    patches.wrap(torch.autograd, "backward", lambda original: _backward(run, original))
    patches.wrap(torch.autograd, "grad", lambda original: _grad(run, original))


def _tensors(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _backward(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        local = run.local
        if run.muted or local.backward:  # a backward inside a backward recomputes a part of the outer one
            return original(tensors, *args, **kwargs)
        roots = tuple(root for root in _tensors(tensors) if isinstance(root, torch.Tensor))
        place = run.place()
        provenance = _provenance(run, roots, place)
        autocast = any(region.enabled for region in local.regions[-1:])
        run.steps.losses.extend((root.detach(), _carried(run, provenance)) for root in roots[:1])
        run.emit(BackwardStarting(place=place, step=run.step, roots=roots, provenance=provenance, autocast=autocast))
        local.backward += 1
        try:
            result = original(tensors, *args, **kwargs)
        finally:
            local.backward -= 1
        changed = _note(run, provenance)
        run.emit(BackwardDone(place=place, step=run.step, roots=roots, provenance=provenance, changed=changed))
        return result

    return backward


def _provenance(run: Run, roots: tuple[Any, ...], place: tuple[str, int]) -> Provenance:
    """Walk the graph in steps that are looked at closely; else trust that it is as it was the last time from here."""
    near = tuple(run.scale_nodes.near(root) for root in roots)
    known = run.walked.get(place)
    if not run.close and known is not None and known[0] == near:
        return known[1]
    found = run.scale_nodes.walk(roots, run.gradients.of)
    if len(run.walked) < _MOST_PLACES:
        run.walked[place] = near, found
    return found


def _grad(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def grad(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        if run.muted or run.local.backward:
            return original(outputs, *args, **kwargs)
        roots = tuple(root for root in _tensors(outputs) if hasattr(root, "grad_fn"))
        provenance = run.scale_nodes.walk(roots, run.gradients.of)
        run.local.backward += 1
        try:
            results = original(outputs, *args, **kwargs)
        finally:
            run.local.backward -= 1
        run.emit(
            GradTaken(
                place=run.place(),
                step=run.step,
                outputs=roots,
                results=_tensors(results),
                provenance=provenance,
                create_graph=bool(kwargs.get("create_graph", args[3] if len(args) > 3 else False)),
            )
        )
        return results

    return grad


def _carried(run: Run, provenance: Provenance) -> float | None:
    """Return the scale a root carries; None where its parts carry different ones."""
    ways = provenance.ways
    if len(ways) > 1:
        return None
    scale: float | None = 1.0
    for scaler in next(iter(ways), ()):
        factor = run.scale_of(scaler)
        scale = None if factor is None or scale is None else scale * factor
    return scale


def _note(run: Run, provenance: Provenance) -> list[tuple[Gradient, str]]:
    """Write down what every gradient holds now. Returns those that changed, with their state before."""
    changed = []
    for gradient, ways in provenance.leaves.values():
        parameter = gradient.parameter()
        tensor = None if parameter is None else parameter.grad
        if tensor is None:
            continue
        now, known = (id(tensor), tensor._version), gradient.stamp
        if now == known:
            continue
        added = now[0] == known[0] and now[1] > known[1]
        before = gradient.state if added else CLEAN
        gradient.stamp = now
        if before != gradient.state:
            gradient.clear_to(now)
        _take(run, gradient, before, sorted(ways))
        changed.append((gradient, before))
    return changed


def _take(run: Run, gradient: Gradient, before: str, ways: Sequence[tuple[int, ...]]) -> None:
    if len(ways) != 1 or len(ways[0]) > 1:
        gradient.state, gradient.reason = MIXED, "partly scaled" if () in ways else "scaled twice"
        gradient.scaler = next((way[0] for way in ways if way), 0)
        return
    scaler = ways[0][0] if ways[0] else 0
    seen = run.scalers.get(scaler)
    update = seen.updates if seen is not None else 0
    if before == CLEAN:
        gradient.state = SCALED if scaler else PLAIN
        gradient.scaler, gradient.update, gradient.scale = scaler, update, run.scale_of(scaler)
        return
    same = (before == SCALED and gradient.scaler == scaler) or (before == PLAIN and not scaler)
    if same and (not scaler or gradient.update == update):
        return
    if same:
        gradient.reason = "scale changed"
    elif before == UNSCALED:
        gradient.reason = "scaled onto unscaled" if scaler else "plain onto unscaled"
    elif before in (SCALED, PLAIN):
        gradient.reason = "other scaler" if before == SCALED and scaler else "scaled and plain"
    if before == UNSCALED and not scaler:
        gradient.state = UNSCALED
        return
    gradient.state = MIXED
    gradient.scaler = gradient.scaler or scaler
