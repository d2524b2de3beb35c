"""AMP102: an optimizer steps through the scaler and once more past it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import OptimizerStepping, ScalerStepped
from ..gradients import UNSCALED
from ..phrases import kind
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    if event.scaler is not None or event.in_backward or not run.scalers:
        return None
    spent = event.gradients.of(one for one in event.gradients.seen() if one.state == UNSCALED and one.used)
    if not spent:
        return NOTHING
    skipped = run.memory("AMP102").get(id(event.optimizer), False)
    said = "which left this step out as a gradient was not finite" if skipped else "which has stepped it already"
    message = f"{kind(event.optimizer)}.step() is called a second time, past the scaler, {said}."
    return [Found(message=message, values={"skipped": float(skipped)})]


def _stepped(event: ScalerStepped, run: Run) -> Findings:
    run.memory("AMP102")[id(event.optimizer)] = event.skipped
    return None


CHECK = Check(
    code="AMP102",
    remedy="Remove this step: scaler.step(optimizer) has already called it, unless a gradient was not finite.",
    hears={ScalerStepped: _stepped, OptimizerStepping: _stepping},
)
