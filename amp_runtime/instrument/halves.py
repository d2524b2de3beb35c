"""In which half formats the graph below a loss was computed, and which losses are in float16 without a scaler."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.function import BackwardCFunction

from .events import BackwardStarting
from .gradients import PLAIN

if TYPE_CHECKING:
    from .events import OptimizerStepping, ScalerMade
    from .run import Run

_LIMIT = 200_000  # nodes
_NAMES = {torch.float16: "float16", torch.bfloat16: "bfloat16"}
OPAQUE = "opaque"  # a custom or compiled function: what it computes in is its own affair
_KEY = "half formats"


def formats(event: BackwardStarting, run: Run) -> frozenset[str]:
    """Return "float16", "bfloat16" and OPAQUE, as far as they occur below the roots; float16 ends the search."""
    kept = run.memory(_KEY)
    number = run.count(BackwardStarting)
    if kept.get("of") != number:
        kept["of"], kept["formats"] = number, _formats(event.roots)
    found: frozenset[str] = kept["formats"]
    return found


def _formats(roots: Iterable[Any]) -> frozenset[str]:
    todo = [root.grad_fn for root in roots if root.grad_fn is not None]
    seen, found = set(todo), {_NAMES[root.dtype] for root in roots if root.dtype in _NAMES}
    while todo and "float16" not in found and len(seen) < _LIMIT:
        node = todo.pop()
        if isinstance(node, BackwardCFunction):
            found.add(OPAQUE)
        found |= {_NAMES[made.dtype] for made in node._input_metadata if made.dtype in _NAMES}
        fresh = {after for after, _index in node.next_functions if after is not None} - seen
        seen |= fresh
        todo += fresh
    return frozenset(found)


@dataclass(slots=True)
class SwitchedOff:
    """A scaler that does nothing. `asked`: the program wanted it on, and the device is not there."""

    scaler: weakref.ref[Any]
    place: tuple[str, int]
    asked: bool


def note_scaler(event: ScalerMade, run: Run) -> None:
    """Remember the last scaler that is off."""
    if event.scaler.is_enabled():
        return
    given = event.kwargs.get("enabled", True)
    off = given is False or any(one is False for one in event.args)
    run.memory(_KEY)["off"] = SwitchedOff(scaler=weakref.ref(event.scaler), place=event.place, asked=not off)


def switched_off(run: Run) -> SwitchedOff | None:
    """Return the scaler that is off, if there is one and no other has scaled anything."""
    found: SwitchedOff | None = run.memory(_KEY).get("off")
    used = (seen.scaler() for seen in run.scalers.values())
    if found is None or found.scaler() is None or any(one is not None and one._scale is not None for one in used):
        return None
    return found


def note_backward(event: BackwardStarting, run: Run) -> None:
    """Remember a backward through float16 whose loss nobody has scaled."""
    if any(event.provenance.ways) or not run.has_entered("float16") or not run.close:
        return
    if "float16" in formats(event, run):
        run.memory(_KEY).setdefault("unscaled", {})[event.place] = True


def steps_unscaled_half(event: OptimizerStepping, run: Run) -> bool | None:
    """Whether an optimizer steps by itself on gradients of such a backward; None where it has none to step on."""
    if event.scaler is not None:
        return None
    places = {one.place for one in event.gradients.seen() if one.state == PLAIN and not one.used}
    if not places:
        return None
    known: dict[tuple[str, int], bool] = run.memory(_KEY).get("unscaled", {})
    return any(place in known for place in places)
