"""AMP402: a fused optimizer trains float16 parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..casts import CAUSES
from ..events import OptimizerStepping
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    fused = [group for group in event.optimizer.param_groups if group.get("fused")]
    if not fused or not run.close:
        return None
    half = [one for group in fused for one in group["params"] if one.dtype is torch.float16 and one.grad is not None]
    if not half or run.alarmed(CAUSES):
        return NOTHING
    message = (
        f"Fused {type(event.optimizer).__name__} updates {len(half)} float16 parameters; there are no float32 weights "
        "that could keep small updates."
    )
    return [Found(message=message, values={"float16": float(len(half))})]


CHECK = Check(
    code="AMP402",
    remedy="Keep the parameters in float32 and let autocast compute in half.",
    hears={OptimizerStepping: _stepping},
)
