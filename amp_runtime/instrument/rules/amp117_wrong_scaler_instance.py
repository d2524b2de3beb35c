"""AMP117: one scaler scales a loss, and another one unscales its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, Unscaling
from ..gradients import MIXED, OTHER_SCALER, SCALED
from ..phrases import kind, of_scale, share
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _unscaling(event: Unscaling, run: Run) -> Findings:
    if event.healthy:
        return NOTHING
    mine = id(event.scaler)
    made = [one for one in event.gradients if one.scaler and not one.used]
    if not made:
        return None
    wrong = [
        one
        for one in made
        if (one.state == SCALED and one.scaler != mine) or (one.state == MIXED and one.reason == OTHER_SCALER)
    ]
    if not wrong:
        return NOTHING
    carried, divided = wrong[0].scale, run.scale_of(mine)
    values = {} if carried is None or divided is None else {"scale": carried, "divided_by": divided}
    message = (
        f"{share(wrong, event.gradients).capitalize()} of {kind(event.optimizer)} carry the scale{of_scale(carried)} of"
        f" another scaler and are divided by the scale{of_scale(divided)} of this one."
    )
    return [Found(message=message, values=values)]


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if "_scale is None" not in str(event.error):
        return None
    if not any(one.state == SCALED and not one.used for one in event.gradients):
        return NOTHING  # no scaler at all: AMP105
    message = (
        f"scaler.{event.method} raises: the loss was scaled by another scaler, this one has never scaled anything."
    )
    return [Found(message=message)]


CHECK = Check(
    code="AMP117",
    remedy="Use one scaler for a loss from scale to update.",
    hears={Unscaling: _unscaling, ScalerRefused: _refused},
)
