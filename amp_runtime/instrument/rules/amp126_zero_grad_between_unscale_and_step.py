"""AMP126: gradients are cleared after unscale_ and before the step that should use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import BackwardDone, GradsZeroed, ScalerStepping
from ..gradients import CLEAN, UNSCALED
from ..phrases import kind, line
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _zeroed(event: GradsZeroed, run: Run) -> Findings:
    if run.local.stepping is not None:
        return None  # a closure: AMP116
    lost = [one for part in event.pending if part.before == UNSCALED for one in part.gradients()]
    if not lost:
        return NOTHING
    run.memory("AMP126").update({id(one): event.place for one in lost})  # harmless if the step is left out as well
    return NOTHING


def _backward(event: BackwardDone, run: Run) -> Findings:
    if lost := run.memory("AMP126"):
        for part in event.changed:
            for one in part.gradients():
                lost.pop(id(one), None)
    return None


def _stepping(event: ScalerStepping, run: Run) -> Findings:
    lost = run.memory("AMP126")
    if not lost:
        return None
    places = [lost.pop(id(one)) for one in event.gradients if id(one) in lost and one.state == CLEAN]
    if not event.unscaled or not places or any(one.state != CLEAN for one in event.gradients):
        return NOTHING
    message = (
        f"The gradients of {kind(event.optimizer)} are cleared after unscale_ and before its step at"
        f" {line(event.place)}: {len(places)} parameter{'' if len(places) == 1 else 's'} do not change."
    )
    return [Found(message=message, values={"parameters": float(len(places))}, place=places[0])]


CHECK = Check(
    code="AMP126",
    remedy="Clear the gradients after scaler.step, or before the next backward.",
    hears={GradsZeroed: _zeroed, BackwardDone: _backward, ScalerStepping: _stepping},
)
