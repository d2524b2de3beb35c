"""AMP415: bfloat16 training applies steps without checking that gradients are finite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from ..events import Clipping, OptimizerStepping
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _clipping(event: Clipping, run: Run) -> Findings:
    """Note a norm that is not finite, where reading it does not wait."""
    norm = event.norm
    if not run.scalers and isinstance(norm, torch.Tensor) and norm.device.type == "cpu":
        run.memory("AMP415")["norm"] = float(norm)
    return None


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    norm = run.memory("AMP415").pop("norm", 0.0)
    if event.scaler is not None or run.scalers or not run.has_entered("bfloat16"):
        return None
    if not run.planted and not _shows(run, norm):
        return None
    gradients = [one for gradient in event.gradients if (one := gradient.tensor()) is not None]
    broken = sum(not bool(torch.isfinite(one.detach()).all()) for one in gradients)
    if not broken:
        return NOTHING
    message = (
        f"{type(event.optimizer).__name__}.step() applies {broken} of {len(gradients)} gradients that are not finite; "
        "bfloat16 has no scaler that would skip the step."
    )
    return [Found(message=message, values={"nonfinite": float(broken), "gradients": float(len(gradients))})]


def _shows(run: Run, norm: float) -> bool:
    """Whether something that is known without waiting is not finite: the norm of clipping, or a loss on the CPU."""
    if not math.isfinite(norm):
        return True
    losses = [loss for loss, _scale in run.steps.losses if loss.device.type == "cpu" and loss.numel() == 1]
    return any(not math.isfinite(float(loss)) for loss in losses)


CHECK = Check(
    code="AMP415",
    remedy="Skip the step when the norm of the gradients is not finite, or clip with error_if_nonfinite=True.",
    hears={Clipping: _clipping, OptimizerStepping: _stepping},
)
