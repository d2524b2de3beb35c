"""AMP121: infinite gradients are made finite before the scaler could see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..phrases import of_scale, scale_value
from ..run import NOTHING, Check, Found
from ..scaling_events import GradientsTouched

if TYPE_CHECKING:
    from ..run import Findings, Run


def _touched(event: GradientsTouched, run: Run) -> Findings:
    if event.how != "masked":
        return NOTHING
    message = (
        f"{event.operator} replaces what is not finite in {event.count} gradient{'' if event.count == 1 else 's'} that"
        f" carry the loss scale{of_scale(event.scale)}, before the scaler has looked: an overflow becomes a step, and"
        " the scale never falls."
    )
    values = {"gradients": float(event.count), **scale_value(event.scale)}
    return [Found(message=message, values=values, place=event.at)]


CHECK = Check(
    code="AMP121",
    remedy="Leave gradients that overflow to scaler.step, which skips the step and lowers the scale.",
    hears={GradientsTouched: _touched},
)
