"""AMP113: a turn that unscaled ended without a step and an update, and the next unscale_ raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, ScalerStepping
from ..gradients import MIXED, ONTO_UNSCALED, SCALED
from ..phrases import kind, line
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: ScalerStepping, run: Run) -> Findings:
    """Remember optimizers that were unscaled and stepped with no backward in between, as it should be."""
    if event.unscaled and not event.mixed:
        run.memory("AMP113")[id(event.optimizer)] = True
        return NOTHING
    return None


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if event.method != "unscale_" or "unscale_() has already been called" not in str(event.error):
        return None
    cleared = any(one.state == SCALED and not one.used for one in event.gradients)
    added = any(one.state == MIXED and one.reason == ONTO_UNSCALED for one in event.gradients)
    if not cleared and not (added and id(event.optimizer) in run.memory("AMP113")):
        return NOTHING  # the same turn: AMP114; an accumulation: AMP111
    left_at = run.scalers[id(event.scaler)].unscaled_at.get(id(event.optimizer), event.place)
    message = (
        f"A turn ended after unscale_ at {line(left_at)} without scaler.update(), so that unscale_ for"
        f" {kind(event.optimizer)} raises in the next one."
    )
    return [Found(message=message, place=left_at)]


CHECK = Check(
    code="AMP113",
    remedy="Leave the decision to scaler.step, which skips by itself, and call scaler.update() on every path.",
    hears={ScalerStepping: _stepping, ScalerRefused: _refused},
)
