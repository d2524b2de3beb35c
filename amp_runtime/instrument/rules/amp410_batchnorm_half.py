"""AMP410: a model with batch normalization is trained in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..casts import CAUSES, HALF, name_of
from ..events import StepEnded
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _step(event: StepEnded, run: Run) -> Findings:
    memory = run.memory("AMP410")
    if memory.get("optimizers") == len(run.optimizers):
        return None
    memory["optimizers"] = len(run.optimizers)
    norms = [
        (name, module, module.running_var.dtype)
        for name, module in run.owners.modules(run)
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.running_var is not None
    ]
    half = [(name, module, dtype) for name, module, dtype in norms if dtype in HALF and module.training]
    if not norms:
        return None
    if not half or run.alarmed(CAUSES):
        return NOTHING
    name, module, dtype = half[0]
    weights = [one for _name, norm, _dtype in half for one in norm.parameters()]
    message = (
        f"The running statistics of {len(half)} of {len(norms)} batch normalizations are "
        f"{name_of(dtype)}, such as {name or type(module).__name__}: they round by a thousandth."
    )
    return [Found(message=message, values={"half": float(len(half))}, place=run.casts.place_of(weights))]


CHECK = Check(
    code="AMP410",
    remedy="Keep batch normalization in float32, or the whole model and train under autocast.",
    hears={StepEnded: _step},
)
