"""AMP508: `on_after_backward` reads gradients, which under 16-mixed still carry the loss scale there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..gradients import SCALED
from ..phrases import of_scale, scale_value
from ..precision_events import GradientRead
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _read(event: GradientRead, run: Run) -> Findings:
    if event.gradient.state != SCALED:
        return NOTHING
    places = run.memory("AMP508")
    places[event.place] = True
    if next(iter(places)) != event.place:
        return NOTHING  # further lines of the same hook
    scale = event.gradient.scale
    message = f"{event.hook} reads a gradient that still carries the loss scale{of_scale(scale)}."
    return [Found(message=message, values=scale_value(scale))]


CHECK = Check(
    code="AMP508",
    remedy="Read gradients in on_before_optimizer_step, where they are unscaled.",
    hears={GradientRead: _read},
)
