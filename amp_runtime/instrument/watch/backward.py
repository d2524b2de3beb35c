"""Hears `backward` and `autograd.grad`, and follows the graph from their roots before it is freed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .. import staleness
from ..events import BackwardDone, BackwardStarting, GradTaken
from ..gradients import (
    CLEAN,
    NO_GRADIENT,
    ONTO_UNSCALED,
    OTHER_SCALER,
    PARTLY,
    PLAIN,
    PLAIN_ADDED,
    SCALE_CHANGED,
    SCALED,
    TWICE,
    UNKNOWN,
    UNSCALED,
    Group,
    Origin,
    Part,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..gradients import Gradient, Holding
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
        if run.idle:
            return original(tensors, *args, **kwargs)
        if local.backward:
            return _recomputed(run, tensors, lambda: original(tensors, *args, **kwargs))
        run.window.close()
        roots = tuple(root for root in _tensors(tensors) if isinstance(root, torch.Tensor))
        place = run.place()
        provenance = _provenance(run, roots, place)
        autocast = any(region.enabled for region in local.regions[-1:])
        run.steps.losses.extend((root.detach(), _carried(run, provenance)) for root in roots[:1])
        run.emit(BackwardStarting(place=place, step=run.step, roots=roots, provenance=provenance, autocast=autocast))
        staleness.look(run, roots, place)
        local.backward, local.provenance = 1, provenance
        local.way = run.scale_nodes.near(roots[0]) if len(roots) == 1 else None
        try:
            result = original(tensors, *args, **kwargs)
        except Exception as error:
            run.raised(error, in_backward=True)
            raise
        finally:
            local.backward, local.provenance = 0, None
            local.way = None
        changed = _note(run, provenance, place)
        run.emit(BackwardDone(place=place, step=run.step, roots=roots, provenance=provenance, changed=changed))
        run.window.compiles = run.window.compiles or provenance.compiled
        if run.close:
            run.window.open(changed)
        else:
            _forget_edited(changed)
        return result

    return backward


def _forget_edited(changed: list[Part]) -> None:
    """In a step that is not looked at closely, do not trust gradients that the program writes in others."""
    for part in changed:
        if part.holding.edited:
            part.holding.state = UNKNOWN


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
        _note(run, inner, run.place())
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
        if run.idle or run.local.backward:
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


def _note(
    run: Run, provenance: Provenance, place: tuple[str, int], wanted: Iterable[Gradient] | None = None
) -> list[Part]:
    """Write down what every gradient holds now, or those that are wanted. Returns those that have changed."""
    changed: list[Part] = []
    among = None if wanted is None else set(wanted)
    for ways, group in provenance.groups(run.gradients):
        arrival = _Arrival(run, ways, place)
        looked = group if among is None else Group(run.gradients, (one for one in group if one in among))
        came = _came(run, looked) if run.close or among is not None else _trusted(looked)
        for holding, part, added in came:
            before = holding.state if added and not holding.used else CLEAN
            holding.used = False
            if before == CLEAN:
                holding.state, holding.origin = arrival.state, arrival.origin
            if before != CLEAN or arrival.mixed:
                _add(holding, before, arrival, place)
            changed.append(Part(part, holding, before))
    return changed


def _came(run: Run, group: Group) -> Iterator[tuple[Holding, Group, bool]]:
    """Look at each gradient. Yield what those hold that a backward has come to, and whether it added to what was there.

    Where only some of those that share a holding were reached, they share none from now on.
    """
    fresh, onto = Group(run.gradients), Group(run.gradients)
    for gradient in group:
        known = gradient.stamp
        now = gradient.stamp_now()
        if now in (known, NO_GRADIENT):
            continue
        gradient.stamp = now
        (onto if now[0] == known[0] and now[1] > known[1] else fresh).append(gradient)
    for some in (fresh, onto):
        for holding in some.own():
            yield holding, some, some is onto


def _trusted(group: Group) -> Iterator[tuple[Holding, Group, bool]]:
    """Do as `_came`, but look at one gradient of those that share a holding: it stands for all of them."""
    for holding in group.own():
        sample = holding.sample
        if sample is None:
            continue
        known, now = sample.stamp, sample.stamp_now()
        if now not in (known, NO_GRADIENT):
            sample.stamp = now
            yield holding, group, now[0] == known[0] and now[1] > known[1]


def catch_up(run: Run, gradients: Iterable[Gradient], place: tuple[str, int]) -> None:
    """Write down, in a hook of a running backward, what it has made of these so far."""
    if run.local.provenance is not None:
        _note(run, run.local.provenance, place, gradients)


class _Arrival:
    """What comes to the parameters that are reached in the same ways."""

    __slots__ = ("mixed", "origin", "state")

    def __init__(self, run: Run, ways: frozenset[tuple[int, ...]], place: tuple[str, int]) -> None:
        self.mixed = ""
        if any(len(way) > 1 for way in ways):
            self.mixed = TWICE
        elif len(ways) > 1:
            self.mixed = PARTLY if () in ways else OTHER_SCALER
        scaler = next((way[0] for way in sorted(ways) if way), 0)
        seen = run.scalers.get(scaler)
        updates = seen.updates if seen is not None else 0
        self.origin = Origin(scaler, run.scale_of(scaler), updates, place)
        self.state = SCALED if scaler else PLAIN


def _add(holding: Holding, before: str, arrival: _Arrival, place: tuple[str, int]) -> None:
    """Let gradients arrive on some that are there, or some that are wrong by themselves."""
    new, old = arrival.origin, holding.origin
    if arrival.mixed:
        holding.mix(arrival.mixed, place)
    elif before == PLAIN and new.scaler:
        holding.mix(PLAIN_ADDED, old.place)  # of the unscaled one
    elif before == UNSCALED and new.scaler:
        holding.mix(ONTO_UNSCALED, place)
    elif before == SCALED:
        if not new.scaler:
            holding.mix(PLAIN_ADDED, place)
        elif new.scaler != old.scaler:
            holding.mix(OTHER_SCALER, place)
        elif new.update != old.update:
            holding.mix(SCALE_CHANGED, place)
    if not old.scaler:
        holding.origin = new
