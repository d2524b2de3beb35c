"""AMP119: a checkpoint leaves the scaler's state out, or a resumed run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..events import RunEnded, ScalerStepped, ScalerStepping, StateLoaded, StateSaved, StepEnded
from ..phrases import of_scale, scale_value
from ..run import NOTHING, Check, Found
from ..scaling_events import StateRead, StateTaken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..events import Event
    from ..run import Findings, Run


_DEPTH = 5
_MOST = 100
_SCALER = {"scale", "growth_factor", "backoff_factor", "growth_interval"}


def _stepped(event: ScalerStepped, run: Run) -> Findings:
    run.memory("AMP119").setdefault("scaled", {})[id(event.optimizer)] = event.scaler
    return None


def _taken(event: StateTaken, run: Run) -> Findings:
    kept = run.memory("AMP119")
    if isinstance(event.owner, torch.amp.GradScaler):
        kept["scaler taken in"] = event.step
        return None
    taken = kept.setdefault("taken", {})
    if len(taken) > _MOST:
        taken.clear()
    taken[id(event.state)] = (event.state, id(event.owner), event.place)
    return None


def _saved(event: StateSaved, run: Run) -> Findings:
    """Note a checkpoint with the state of an optimizer; the scaler's may still follow in a file of its own."""
    kept = run.memory("AMP119")
    scaled = kept.get("scaled")
    optimizers = [one for one in _states(event.what) if "param_groups" in one and one.get("state")]
    if not scaled or not optimizers:
        return None
    if any(one.keys() >= _SCALER for one in _states(event.what)):
        return NOTHING
    taken = kept.get("taken", {})
    known = [found for one in optimizers if (found := taken.get(id(one))) is not None and found[0] is one]
    mine = [found for found in known if found[1] in scaled]
    if known and not mine:
        return NOTHING  # of optimizers that no scaler steps
    place = mine[0][2] if mine else event.place
    scaler = scaled[mine[0][1]] if mine else next(iter(scaled.values()))
    kept.setdefault("waiting", []).append((place, event.step, run.scale_of(id(scaler)), float(scaler._init_scale)))
    return NOTHING


def _ended(event: Event, run: Run) -> Findings:
    kept = run.memory("AMP119")
    waiting = kept.pop("waiting", None)
    if not waiting:
        return None
    return [
        Found(
            message=(
                "A checkpoint holds the state of an optimizer and not that of its scaler: a resumed run starts with the"
                f" loss scale {first:g} again{'' if scale is None else f', and it is {scale:g} now'}."
            ),
            values={"init_scale": first, **scale_value(scale)},
            place=place,
        )
        for place, step, scale, first in waiting
        if kept.get("scaler taken in") != step
    ]


def _read(event: StateRead, run: Run) -> Findings:
    found = next((one for one in _states(event.what) if one.keys() >= _SCALER), None)
    if found is not None:
        run.memory("AMP119")["read"] = float(found["scale"])
    return None


def _loaded(event: StateLoaded, run: Run) -> Findings:
    kept = run.memory("AMP119")
    if isinstance(event.target, torch.amp.GradScaler):
        kept.pop("read", None)
        kept.pop("resumed at", None)
    elif isinstance(event.target, torch.optim.Optimizer) and "read" in kept:
        kept["resumed at"] = event.place
    return None


def _stepping(event: ScalerStepping, run: Run) -> Findings:
    kept = run.memory("AMP119")
    place = kept.pop("resumed at", None)
    if place is None:
        return None
    seen = run.scalers[id(event.scaler)]
    if seen.loaded or seen.updates:
        return NOTHING
    saved, scale = kept["read"], run.scale_of(id(event.scaler))
    message = (
        f"The checkpoint holds a loss scale of {saved:g}, and only the optimizer's state is loaded: the scaler goes on"
        f" with its first scale{of_scale(scale)}."
    )
    return [Found(message=message, values={"saved": saved, **scale_value(scale)}, place=place)]


def _states(what: Any, depth: int = 0) -> Iterator[dict[Any, Any]]:
    """Walk what is saved for dicts, not into those of tensors by name."""
    if isinstance(what, torch.amp.GradScaler):
        yield dict.fromkeys(_SCALER)
    elif isinstance(what, dict):
        yield what
        if depth < _DEPTH and "param_groups" not in what and not _of_tensors(what):
            for one in what.values():
                yield from _states(one, depth + 1)
    elif isinstance(what, (list, tuple)) and depth < _DEPTH and len(what) < _MOST:
        for one in what:
            yield from _states(one, depth + 1)


def _of_tensors(state: dict[Any, Any]) -> bool:
    return isinstance(next(iter(state.values()), None), torch.Tensor)


CHECK = Check(
    code="AMP119",
    remedy="Save scaler.state_dict() next to the optimizer's, and load it with scaler.load_state_dict.",
    hears={
        ScalerStepped: _stepped,
        StateTaken: _taken,
        StateSaved: _saved,
        StepEnded: _ended,
        RunEnded: _ended,
        StateRead: _read,
        StateLoaded: _loaded,
        ScalerStepping: _stepping,
    },
)
