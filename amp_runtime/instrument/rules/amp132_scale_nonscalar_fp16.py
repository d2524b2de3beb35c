"""AMP132: a float16 tensor with dimensions is scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..events import LossScaled
from ..phrases import scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_LARGEST = 65504.0


def _scaled(event: LossScaled, run: Run) -> Findings:
    wide = [one for one in event.outputs if one.dtype is torch.float16 and one.dim()]
    if not wide:
        return NOTHING
    scale = run.scale_of(id(event.scaler))
    limit = (
        "" if scale is None else f": what is above {_LARGEST / scale:.4g} times the loss scale {scale:g} is infinite"
    )
    message = f"A float16 tensor of shape {tuple(wide[0].shape)} is scaled and stays float16{limit}."
    return [Found(message=message, values={"elements": float(wide[0].numel()), **scale_value(scale)})]


CHECK = Check(
    code="AMP132",
    remedy="Reduce the loss to a scalar in float32 before it is scaled: loss.float().mean().",
    hears={LossScaled: _scaled},
)
