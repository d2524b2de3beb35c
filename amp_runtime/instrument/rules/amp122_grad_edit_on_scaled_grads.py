"""AMP122: gradients are changed by fixed amounts while they carry the loss scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..phrases import of_scale, scale_value
from ..run import NOTHING, Check, Found
from ..scaling_events import GradientsTouched

if TYPE_CHECKING:
    from ..run import Findings, Run


_SAID = {
    "clamped": "limits them by a fixed number",
    "offset": "adds what does not carry it",
    "normalised": "makes them independent of it",
}


def _touched(event: GradientsTouched, run: Run) -> Findings:
    if event.how not in _SAID:
        return NOTHING
    message = (
        f"{event.count} gradient{'' if event.count == 1 else 's'} that carry the loss scale{of_scale(event.scale)} are"
        f" edited: {event.operator} {_SAID[event.how]}, and the scaler divides the result by the scale."
    )
    values = {"gradients": float(event.count), **scale_value(event.scale)}
    return [Found(message=message, values=values, place=event.at)]


CHECK = Check(
    code="AMP122",
    remedy="Edit gradients after scaler.unscale_(optimizer).",
    hears={GradientsTouched: _touched},
)
