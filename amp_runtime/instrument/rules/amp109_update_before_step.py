"""AMP109: the scaler is updated before the optimizer steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, Unscaling
from ..gradients import UNSCALED
from ..phrases import line, of_scale, scale_value, share
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if event.method != "update" or "No inf checks were recorded prior to update" not in str(event.error):
        return None
    seen = run.scalers.get(id(event.scaler))
    if run.alarmed(
        (
            "AMP101",
            "AMP143",
        )
    ) or (seen is not None and seen.steps):
        return NOTHING  # stepped past the scaler; or stepped without a gradient, AMP127
    message = "scaler.update() raises, as it is called before scaler.step or unscale_ has looked at any gradient."
    return [Found(message=message)]


def _unscaling(event: Unscaling, run: Run) -> Findings:
    if event.healthy:
        return NOTHING
    seen = run.scalers[id(event.scaler)]
    twice = [
        one
        for one in event.gradients
        if one.state == UNSCALED and one.division.optimizer == id(event.optimizer) and not one.used
    ]
    if not twice:
        return NOTHING
    scale = run.scale_of(id(event.scaler))
    message = (
        f"scaler.update() at {line(seen.updated_at)} makes the scaler forget that it has unscaled, and"
        f" {line(event.place)} divides {share(twice, event.gradients)} by the loss scale{of_scale(scale)} once more."
    )
    return [Found(message=message, values=scale_value(scale), place=seen.updated_at)]


CHECK = Check(
    code="AMP109",
    remedy="Call scaler.update() after scaler.step(optimizer), as the last act of the turn.",
    hears={ScalerRefused: _refused, Unscaling: _unscaling},
)
