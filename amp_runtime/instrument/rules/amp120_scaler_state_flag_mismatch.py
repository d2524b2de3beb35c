"""AMP120: a scaler's state comes from a run with another switch or other settings."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import torch

from ..events import ScalerMade, ScalerRefused, StateLoaded
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_SETTINGS = ("growth_factor", "backoff_factor", "growth_interval")


def _made(event: ScalerMade, run: Run) -> Findings:
    asked = {name: event.kwargs[name] for name in _SETTINGS if name in event.kwargs}
    run.memory("AMP120")[id(event.scaler)] = (weakref.ref(event.scaler), asked)
    return None


def _loaded(event: StateLoaded, run: Run) -> Findings:
    if not isinstance(event.target, torch.amp.GradScaler):
        return None
    state = event.state
    if not event.target.is_enabled():
        if not state:
            return NOTHING
        message = (
            f"A state with the loss scale {float(state['scale']):g} is loaded into a scaler that is off: it is ignored."
        )
        return [Found(message=message, values={"scale": float(state["scale"])})]
    known = run.memory("AMP120").get(id(event.target))
    asked = known[1] if known is not None and known[0]() is event.target else {}
    lost = {name: value for name, value in asked.items() if name in state and state[name] != value}
    if not lost:
        return NOTHING
    said = ", ".join(f"{name} {value:g}, now {state[name]:g}" for name, value in lost.items())
    values = {name: float(value) for name, value in lost.items()}
    return [Found(message=f"The loaded state overrides what the scaler was made with: {said}.", values=values)]


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if event.method != "load_state_dict" or "empty" not in str(event.error):
        return None
    return [Found(message="load_state_dict raises: the state was saved by a scaler that was off, and this one is on.")]


CHECK = Check(
    code="AMP120",
    remedy="Save and load the scaler's state only where it is on, and set what shall differ after loading.",
    hears={ScalerMade: _made, StateLoaded: _loaded, ScalerRefused: _refused},
)
