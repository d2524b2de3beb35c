"""AMP101: an optimizer steps on scaled gradients without its scaler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import OptimizerStepping
from ..gradients import SCALED, UNSCALED
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    if event.scaler is not None or not any(run.scalers):
        return None if event.scaler is None else NOTHING
    if event.in_backward:
        return NOTHING  # AMP143
    scaled = [gradient for gradient in event.gradients if gradient.state == SCALED]
    unscaled = [gradient for gradient in event.gradients if gradient.state == UNSCALED]
    if scaled:
        scale = scaled[0].scale
        how = "" if scale is None else f" {scale:g}"
        message = f"{_name(event)}.step() is called past the scaler, on gradients that carry the loss scale{how}."
        return [Found(message=message, values={} if scale is None else {"scale": scale})]
    if unscaled and not _was_stepped(event, run):
        message = (
            f"{_name(event)}.step() is called past the scaler that unscaled its gradients: "
            "a step with non-finite gradients is not skipped."
        )
        return [Found(message=message)]
    return NOTHING


def _was_stepped(event: OptimizerStepping, run: Run) -> bool:
    """Whether its scaler has already stepped it: then this is a second step, AMP102."""
    return any(id(event.optimizer) in seen.steps for seen in run.scalers.values())


def _name(event: OptimizerStepping) -> str:
    return type(event.optimizer).__name__


CHECK = Check(
    code="AMP101",
    remedy="Step through the scaler: scaler.step(optimizer), then scaler.update().",
    hears={OptimizerStepping: _stepping},
)
