"""AMP112: unscale_ and update run for every micro-batch, the step only for the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Unscaling
from ..gradients import MIXED, ONTO_UNSCALED
from ..phrases import line, of_scale, scale_value, share
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _unscaling(event: Unscaling, run: Run) -> Findings:
    if event.healthy:
        return NOTHING
    seen = run.scalers[id(event.scaler)]
    again = [
        one
        for one in event.gradients
        if one.state == MIXED and one.reason == ONTO_UNSCALED and one.division.update != seen.updates
    ]
    if not again:
        return NOTHING
    first = again[0]
    scale = run.scale_of(id(event.scaler))
    message = (
        f"{share(again, event.gradients).capitalize()} were unscaled at {line(first.division.place)} and the scaler was"
        f" updated before the step: what earlier micro-batches gave is divided by the loss scale{of_scale(scale)} once"
        " more."
    )
    return [Found(message=message, values=scale_value(scale), place=first.division.place)]


CHECK = Check(
    code="AMP112",
    remedy="Unscale and update once per optimizer step, after the last micro-batch.",
    hears={Unscaling: _unscaling},
)
