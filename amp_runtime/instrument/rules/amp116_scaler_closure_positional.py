"""AMP116: scaler.step is given a closure, whose gradients nobody unscales."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerStepping
from ..phrases import kind, scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: ScalerStepping, run: Run) -> Findings:
    if "closure" not in event.kwargs and not any(callable(one) for one in event.args):
        return NOTHING
    scale = run.scale_of(id(event.scaler))
    what = "which torch refuses" if "closure" in event.kwargs else "whose gradients are never unscaled nor checked"
    message = f"scaler.step gives {kind(event.optimizer)} a closure, {what}."
    return [Found(message=message, values=scale_value(scale))]


CHECK = Check(
    code="AMP116",
    remedy="Train without a closure, or in bfloat16, which needs no scaler.",
    hears={ScalerStepping: _stepping},
)
