"""AMP509: a model is loaded in float16 and trained by a Trainer with `fp16=True`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..casts import parameters_of
from ..events import ScalerRefused
from ..run import Check, Found
from .amp401_half_model_with_scaler import REFUSAL

if TYPE_CHECKING:
    from ..run import Findings, Run


def _refused(event: ScalerRefused, run: Run) -> Findings:
    if REFUSAL not in str(event.error) or event.optimizer is None or not run.frames.through("transformers"):
        return None
    count = len(parameters_of(event.optimizer))
    message = f"The Trainer scales gradients of a model with {count} float16 parameters, and its scaler refuses them."
    return [Found(message=message, values={"float16": float(count)})]


CHECK = Check(
    code="AMP509",
    remedy="Load the model in float32: from_pretrained(..., dtype=torch.float32). fp16=True does the rest.",
    hears={ScalerRefused: _refused},
)
