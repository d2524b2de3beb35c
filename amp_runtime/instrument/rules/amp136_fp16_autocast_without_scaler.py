"""AMP136: a loss is computed in float16, and its gradients are taken and used without a scaler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..events import AutocastEntered, BackwardStarting, OptimizerStepping, ScalerMade
from ..halves import note_backward, note_scaler, steps_unscaled_half, switched_off
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..gradients import Gradient
    from ..run import Findings, Run


def _entered(event: AutocastEntered, run: Run) -> Findings:
    if event.enabled and event.dtype == "float16" and torch.is_grad_enabled():
        run.memory("AMP136")["region"] = event.place
    return None


def _made(event: ScalerMade, run: Run) -> Findings:
    note_scaler(event, run)
    return None


def _starting(event: BackwardStarting, run: Run) -> Findings:
    note_backward(event, run)
    return None


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    unscaled = steps_unscaled_half(event, run)
    if unscaled is None:
        return None
    if not unscaled or switched_off(run) is not None:
        return NOTHING  # with a scaler that is off: AMP138, AMP139
    values, said = {}, ""
    if run.close and (share := zero_share(event.gradients)) is not None:
        values, said = {"zero_share": share}, f", and {share:.1%} of the gradients are zero"
    message = f"Gradients of a loss in float16 are used, and no scaler has scaled it{said}."
    return [Found(message=message, values=values, place=run.memory("AMP136").get("region"))]


def zero_share(gradients: Sequence[Gradient]) -> float | None:
    """Return the share of elements that are zero; None where counting them would wait for a device."""
    tensors = [tensor for one in gradients if (tensor := one.tensor()) is not None]
    if not tensors or any(one.device.type != "cpu" or one.layout is not torch.strided for one in tensors):
        return None
    nonzero = sum(int(torch.count_nonzero(one)) for one in tensors)
    return 1.0 - nonzero / max(1, sum(int(one.numel()) for one in tensors))


CHECK = Check(
    code="AMP136",
    remedy="Scale the loss with torch.amp.GradScaler, or use dtype=torch.bfloat16, which needs no scaler.",
    hears={AutocastEntered: _entered, ScalerMade: _made, BackwardStarting: _starting, OptimizerStepping: _stepping},
)
