"""Hears `backward` and `autograd.grad`, and follows the graph from their roots before it is freed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .. import staleness
from ..events import BackwardDone, BackwardStarting, GradTaken
from ..gradients import CLEAN, MIXED, PLAIN, SCALED, UNSCALED, Gradient

if TYPE_CHECKING:
    from collections.abc import Callable

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
        if run.muted:
            return original(tensors, *args, **kwargs)
        if local.backward:
            return _recomputed(run, tensors, lambda: original(tensors, *args, **kwargs))
        roots = tuple(root for root in _tensors(tensors) if isinstance(root, torch.Tensor))
        place = run.place()
        provenance = _provenance(run, roots, place)
        autocast = any(region.enabled for region in local.regions[-1:])
        run.steps.losses.extend((root.detach(), _carried(run, provenance)) for root in roots[:1])
        run.emit(BackwardStarting(place=place, step=run.step, roots=roots, provenance=provenance, autocast=autocast))
        staleness.look(run, roots, place)
        local.backward += 1
        local.way = run.scale_nodes.near(roots[0]) if len(roots) == 1 else None
        try:
            result = original(tensors, *args, **kwargs)
        except Exception as error:
            run.raised(error, in_backward=True)
            raise
        finally:
            local.backward -= 1
            local.way = None
        changed = _note(run, provenance)
        run.emit(BackwardDone(place=place, step=run.step, roots=roots, provenance=provenance, changed=changed))
        return result

    return backward


def _recomputed(run: Run, tensors: Any, call: Callable[[], Any]) -> Any:
    """Run a backward inside a backward: reentrant checkpointing recomputes a part of the outer graph that way.

    Its gradients come to its leaves by the way on which the outer backward has come so far.
    """
    roots = [root for root in _tensors(tensors) if isinstance(root, torch.Tensor)]
    way = run.local.way
    inner = None if way is None or not run.close else run.scale_nodes.walk(roots, run.gradients.of)
    result = call()
    if inner is not None and way is not None:
        ways = frozenset([way])
        inner.leaves = {key: (gradient, ways) for key, (gradient, _ways) in inner.leaves.items()}
        _note(run, inner)
    return result


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
        staleness.look(run, roots, run.place())
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
    arrivals: dict[frozenset[tuple[int, ...]], _Arrival] = {}
    for gradient, ways in provenance.leaves.values():  # often hundreds, in every step: this loop is kept flat
        parameter = gradient.parameter()
        tensor = None if parameter is None else parameter.grad
        if tensor is None:
            continue
        version, (known, known_version) = tensor._version, gradient.stamp
        identity = id(tensor)
        added = identity == known and version > known_version
        if not added and identity == known and version == known_version:
            continue
        before = gradient.state if added else CLEAN
        gradient.stamp = (identity, version)
        arrival = arrivals.get(ways)
        if arrival is None:
            arrival = arrivals[ways] = _Arrival(run, ways)
        if before == CLEAN and not arrival.mixed:
            gradient.state, gradient.reason = arrival.state, ""
            gradient.scaler, gradient.update, gradient.scale = arrival.scaler, arrival.update, arrival.scale
        else:
            _add(gradient, before, arrival)
        changed.append((gradient, before))
    return changed


class _Arrival:
    """What comes to the parameters that are reached in the same ways."""

    __slots__ = ("mixed", "scale", "scaler", "state", "update")

    def __init__(self, run: Run, ways: frozenset[tuple[int, ...]]) -> None:
        self.mixed = ""
        if len(ways) != 1:
            self.mixed = "partly scaled" if () in ways else "two scalers"
        elif len(next(iter(ways))) > 1:
            self.mixed = "scaled twice"
        self.scaler = next((way[0] for way in sorted(ways) if way), 0)
        seen = run.scalers.get(self.scaler)
        self.update = seen.updates if seen is not None else 0
        self.scale = run.scale_of(self.scaler)
        self.state = SCALED if self.scaler else PLAIN


def _add(gradient: Gradient, before: str, arrival: _Arrival) -> None:
    """Let a gradient arrive on one that is there, or one that is wrong by itself."""
    if arrival.mixed:
        gradient.state, gradient.reason = MIXED, arrival.mixed
    elif before == PLAIN:
        if arrival.scaler:
            gradient.state, gradient.reason = MIXED, "scaled and plain"
    elif before == UNSCALED:
        if arrival.scaler:
            gradient.state, gradient.reason = MIXED, "scaled onto unscaled"
    elif before == SCALED:
        if not arrival.scaler:
            gradient.state, gradient.reason = MIXED, "scaled and plain"
        elif arrival.scaler != gradient.scaler:
            gradient.state, gradient.reason = MIXED, "other scaler"
        elif arrival.update != gradient.update:
            gradient.state, gradient.reason = MIXED, "scale changed"
    gradient.scaler = gradient.scaler or arrival.scaler
