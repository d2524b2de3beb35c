"""AMP401: a model whose parameters are float16 is trained with a GradScaler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..casts import CAUSES, histogram, parameters_of
from ..events import ScalerRefused
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

REFUSAL = "Attempting to unscale FP16 gradients"


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if REFUSAL not in str(event.error) or event.optimizer is None:
        return None
    parameters = parameters_of(event.optimizer)
    types = histogram(parameters)
    if len(types) > 1 or run.alarmed(CAUSES) or run.frames.through("transformers"):
        return NOTHING  # AMP411, or what made them half, or AMP509
    half = [parameter for parameter in parameters if parameter.dtype is torch.float16]
    message = f"All {len(half)} trained parameters are float16, and the scaler refuses to unscale their gradients."
    return [Found(message=message, values={"float16": float(len(half))}, place=run.casts.place_of(half))]


CHECK = Check(
    code="AMP401",
    remedy="Keep the parameters in float32 and let autocast compute in half.",
    hears={ScalerRefused: _refused},
)
