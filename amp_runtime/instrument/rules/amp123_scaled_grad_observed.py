"""AMP123: numbers of gradients are read while they carry the loss scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..phrases import of_scale, scale_value
from ..run import NOTHING, Check, Found
from ..scaling_events import GradientsTouched

if TYPE_CHECKING:
    from ..run import Findings, Run


def _touched(event: GradientsTouched, run: Run) -> Findings:
    if event.how != "observed":
        return NOTHING
    if event.at in run.memory("AMP508"):
        return NOTHING  # AMP508
    message = (
        f"{event.operator} of gradients that carry the loss scale{of_scale(event.scale)} is taken here: the number is"
        f" that many times too large, and jumps with the scale."
    )
    return [Found(message=message, values=scale_value(event.scale), place=event.at)]


CHECK = Check(
    code="AMP123",
    remedy="Read gradients after scaler.unscale_(optimizer), or in a hook of the optimizer's step.",
    hears={GradientsTouched: _touched},
)
