"""AMP115: gradients are unscaled for one optimizer and then for another that holds the same parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Unscaling
from ..gradients import UNSCALED
from ..phrases import kind, line, of_scale, scale_value, share
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _unscaling(event: Unscaling, run: Run) -> Findings:
    if event.healthy:
        return NOTHING
    held = (one for one in event.gradients.seen() if one.state == UNSCALED)
    twice = event.gradients.of(one for one in held if one.division.optimizer != id(event.optimizer))
    if not twice:
        return NOTHING
    scale = run.scale_of(id(event.scaler))
    message = (
        f"{kind(event.optimizer)} is another object than the one whose gradients were unscaled at"
        f" {line(twice[0].division.place)}, so {share(twice, event.gradients)} are divided by the loss"
        f" scale{of_scale(scale)} a second time."
    )
    return [Found(message=message, values=scale_value(scale))]


CHECK = Check(
    code="AMP115",
    remedy="Give unscale_ and step the same optimizer object.",
    hears={Unscaling: _unscaling},
)
