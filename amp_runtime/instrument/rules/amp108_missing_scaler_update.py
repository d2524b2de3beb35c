"""AMP108: the scaler steps an optimizer again without an update in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, ScalerUpdated
from ..gradients import CLEAN
from ..phrases import kind, line
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _refused(event: ScalerRefused, run: Run) -> Findings:
    said = str(event.error)
    again = event.method == "step" and "step() has already been called" in said
    late = event.method == "unscale_" and "called after step()" in said and _new(event)
    seen = run.scalers.get(id(event.scaler))
    if seen is None or not (again or late):
        return None
    if run.alarmed(("AMP109",)):
        return NOTHING  # it was updated, but before the step
    stepped_at = seen.stepped_at.get(id(event.optimizer), event.place)
    message = (
        f"scaler.{event.method} raises for {kind(event.optimizer)}, as scaler.update() was not called after the step at"
        f" {line(stepped_at)}."
    )
    return [Found(message=message, place=stepped_at)]


def _new(event: ScalerRefused) -> bool:
    """Whether a backward has made new gradients since the step."""
    return any(not one.used and one.state != CLEAN for one in event.gradients)


def _updated(event: ScalerUpdated, run: Run) -> Findings:
    return NOTHING


CHECK = Check(
    code="AMP108",
    remedy="Call scaler.update() once after the steps of every turn.",
    hears={ScalerRefused: _refused, ScalerUpdated: _updated},
)
