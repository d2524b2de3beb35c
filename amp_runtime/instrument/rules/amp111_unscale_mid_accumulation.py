"""AMP111: gradients are unscaled before all of them have been added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, ScalerStepping
from ..gradients import MIXED, ONTO_UNSCALED
from ..phrases import line, of_scale, scale_value, share
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..gradients import Gradient
    from ..run import Findings, Run


def _stepping(event: ScalerStepping, run: Run) -> Findings:
    if not event.unscaled:
        return None
    late = _late(event.gradients) if event.mixed else []
    return [_found(late, event.gradients)] if late else NOTHING


def _refused(event: ScalerRefused, run: Run) -> Findings:
    """Hear the second unscale_ of an accumulation raise."""
    if event.method != "unscale_" or "unscale_() has already been called" not in str(event.error):
        return None
    late = _late(event.gradients)
    if not late or id(event.optimizer) in run.memory("AMP113"):
        return NOTHING  # without a backward between: AMP114; unscaled and left out as never before: AMP113
    return [_found(late, event.gradients)]


def _late(gradients: Sequence[Gradient]) -> list[Gradient]:
    return [one for one in gradients if one.state == MIXED and one.reason == ONTO_UNSCALED]


def _found(late: list[Gradient], gradients: Sequence[Gradient]) -> Found:
    first = late[0]
    message = (
        f"The backward at {line(first.place)} adds gradients that carry the loss scale{of_scale(first.scale)} to"
        f" {share(late, gradients)} that were unscaled at {line(first.division.place)} already."
    )
    return Found(message=message, values=scale_value(first.scale), place=first.division.place)


CHECK = Check(
    code="AMP111",
    remedy="Call unscale_ only once all micro-batches of the step have run backward.",
    hears={ScalerStepping: _stepping, ScalerRefused: _refused},
)
