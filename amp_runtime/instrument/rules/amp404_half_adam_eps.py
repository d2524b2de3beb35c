"""AMP404: Adam steps float16 parameters with an eps that is 0 in float16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..casts import CAUSES
from ..events import OptimizerStepped, OptimizerStepping
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_LARGEST_ZERO = 2.0**-25  # the largest number that float16 rounds to 0: half of its smallest, ties go to even


def _at_risk(optimizer: Any) -> tuple[list[Any], float]:
    """Return float16 parameters of groups whose eps vanishes; fused kernels compute in float32."""
    groups = [
        group
        for group in optimizer.param_groups
        if "betas" in group and 0 <= group.get("eps", 1.0) <= _LARGEST_ZERO and not group.get("fused")
    ]
    found = [one for group in groups for one in group["params"] if one.dtype is torch.float16 and one.grad is not None]
    return found, groups[0]["eps"] if groups else 0.0


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    """Note whether gradients and weights are finite before the step: then what is not is the step's doing."""
    parameters, _eps = _at_risk(event.optimizer) if run.close else ([], 0.0)
    finite = bool(parameters) and _nonfinite([one for p in parameters for one in (p, p.grad)]) == 0
    run.memory("AMP404")["finite"] = finite
    return None


def _stepped(event: OptimizerStepped, run: Run) -> Findings:
    if not run.memory("AMP404").pop("finite", False):
        return None
    parameters, eps = _at_risk(event.optimizer)
    broken = _nonfinite(parameters)
    if not broken or run.alarmed(CAUSES):
        return NOTHING
    total = sum(one.numel() for one in parameters)
    message = (
        f"{type(event.optimizer).__name__} with eps={eps:g}, which is 0 in float16, made {broken} of {total} weights "
        "NaN or infinite in one step, from gradients that were finite."
    )
    values = {"eps": eps, "nonfinite": float(broken), "elements": float(total)}
    return [Found(message=message, values=values)]


def _nonfinite(tensors: list[Any]) -> int:
    return sum(int((~torch.isfinite(one.detach())).sum()) for one in tensors)


CHECK = Check(
    code="AMP404",
    remedy="Keep the parameters in float32, or pass an eps of at least 1e-4.",
    hears={OptimizerStepping: _stepping, OptimizerStepped: _stepped},
)
