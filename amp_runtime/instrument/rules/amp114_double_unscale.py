"""AMP114: unscale_ is called a second time before the update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, Unscaled
from ..gradients import CLEAN, UNKNOWN, UNSCALED
from ..phrases import kind, line
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if event.method != "unscale_":
        return None
    said = str(event.error)
    new = any(not one.used and one.state not in (CLEAN, UNSCALED, UNKNOWN) for one in event.gradients)
    if new or ("unscale_() has already been called" not in said and "called after step()" not in said):
        return NOTHING  # a backward came between: AMP108, AMP111, AMP113
    seen = run.scalers[id(event.scaler)]
    places = seen.stepped_at if id(event.optimizer) in seen.stepped_at else seen.unscaled_at
    first = places.get(id(event.optimizer), event.place)
    message = f"unscale_ raises for {kind(event.optimizer)}, whose gradients were unscaled at {line(first)} already."
    return [Found(message=message)]


def _unscaled(event: Unscaled, run: Run) -> Findings:
    return NOTHING


CHECK = Check(
    code="AMP114",
    remedy="Call unscale_ once per optimizer and turn, before the first use of true gradients.",
    hears={ScalerRefused: _refused, Unscaled: _unscaled},
)
