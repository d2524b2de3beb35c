"""AMP101: an optimizer steps on scaled gradients without its scaler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import OptimizerStepping
from ..gradients import SCALED, UNSCALED
from ..phrases import kind, of_scale, scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    if not run.scalers:
        return None
    if event.scaler is not None or event.in_backward:
        return NOTHING  # in a hook: AMP143
    held = [one for one in event.gradients.seen() if not one.used]
    scaled = next((one for one in held if one.state == SCALED), None)
    name = kind(event.optimizer)
    if scaled is not None:
        message = (
            f"{name}.step() is called past the scaler, on gradients that carry the loss scale{of_scale(scaled.scale)}."
        )
        return [Found(message=message, values=scale_value(scaled.scale))]
    if any(one.state == UNSCALED for one in held):
        message = (
            f"{name}.step() is called past the scaler that unscaled its gradients: "
            "a step with gradients that are not finite is not skipped."
        )
        return [Found(message=message)]
    return NOTHING


CHECK = Check(
    code="AMP101",
    remedy="Step through the scaler: scaler.step(optimizer), then scaler.update().",
    hears={OptimizerStepping: _stepping},
)
