"""AMP127: the scaler steps an optimizer that has no gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..events import ScalerRefused, ScalerStepped
from ..phrases import kind, line
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if event.method != "step" or "No inf checks were recorded for this optimizer" not in str(event.error):
        return None
    if event.closure:
        return NOTHING  # AMP116
    return [Found(message=f"scaler.step raises for {kind(event.optimizer)}: {_none(event.optimizer)}.")]


def _refused_update(event: ScalerRefused, run: Run) -> Findings:
    """Hear it also from the update: a fused optimizer steps without a gradient."""
    if event.method != "update":
        return _refused(event, run)
    seen = run.scalers.get(id(event.scaler))
    if seen is None or not seen.steps or "No inf checks were recorded" not in str(event.error):
        return None
    place = next(iter(seen.stepped_at.values()), event.place)
    message = f"scaler.update raises, as no optimizer stepped at {line(place)} has any gradient."
    return [Found(message=message, place=place)]


def _none(optimizer: Any) -> str:
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    return f"none of its {count} parameters has a gradient"


def _stepped(event: ScalerStepped, run: Run) -> Findings:
    return NOTHING


CHECK = Check(
    code="AMP127",
    remedy="Step an optimizer only in turns that run backward through its parameters.",
    hears={ScalerRefused: _refused_update, ScalerStepped: _stepped},
)
