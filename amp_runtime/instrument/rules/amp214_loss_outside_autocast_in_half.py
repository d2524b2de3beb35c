"""AMP214: a loss is computed outside of autocast, in half, of what the model returned inside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..casts import HALF, name_of
from ..measured import trains_half_weights
from ..precision_events import LossCalled
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _called(event: LossCalled, run: Run) -> Findings:
    if event.within or not run.entered or not event.input.requires_grad:
        return None
    if event.enabled or event.input.dtype not in HALF or (run.close and trains_half_weights(run)):
        return NOTHING
    dtype = name_of(event.input.dtype)
    values = {}
    message = f"{event.name} of {dtype} predictions runs outside of autocast, and so in {dtype}."
    if run.close and event.input.device.type == "cpu" and event.input.numel():
        values["largest"] = float(event.input.detach().abs().max())
        message += f" The largest of them is {values['largest']:.4g}."
    return [Found(message=message, values=values)]


CHECK = Check(
    code="AMP214",
    remedy="Compute the loss inside the context, or of `.float()` predictions.",
    hears={LossCalled: _called},
)
