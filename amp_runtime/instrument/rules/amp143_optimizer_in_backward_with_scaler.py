"""AMP143: a gradient hook steps an optimizer during the backward of a scaled loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import OptimizerStepping
from ..gradients import SCALED
from ..phrases import kind, of_scale, scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    if not event.in_backward or not run.scalers:
        return None
    if event.scaler is not None:
        return NOTHING
    scaled = next((one for one in event.gradients.seen() if one.state == SCALED), None)
    if scaled is None:
        return NOTHING
    message = (
        f"A hook calls {kind(event.optimizer)}.step() while the backward of a scaled loss runs: its gradients carry the"
        f" loss scale{of_scale(scaled.scale)} and nobody looks for an overflow."
    )
    return [Found(message=message, values=scale_value(scaled.scale))]


CHECK = Check(
    code="AMP143",
    remedy="Step after the backward through the scaler, or train in bfloat16 without one.",
    hears={OptimizerStepping: _stepping},
)
