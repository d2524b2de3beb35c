"""AMP505: gradients are clipped with torch's function where the framework that scales them must do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Clipping
from ..frameworks import framework
from ..gradients import SCALED
from ..run import NOTHING, Check
from .amp103_clip_before_unscale import clipped

if TYPE_CHECKING:
    from ..run import Findings, Run

_THESE = ("accelerate", "fabric")


def _clipping(event: Clipping, run: Run) -> Findings:
    if not any(framework(run, scaler) in _THESE for scaler in run.scalers):
        return None
    scaled = event.gradients.unused(SCALED)
    if not scaled or len(scaled) < sum(one.tensor() is not None for one in event.gradients):
        return NOTHING
    return [clipped(event, scaled[0].scale)] if framework(run, scaled[0].scaler) in _THESE else NOTHING


CHECK = Check(
    code="AMP505",
    remedy="Call accelerator.clip_grad_norm_(...) if accelerator.sync_gradients, or fabric.clip_gradients(...).",
    hears={Clipping: _clipping},
)
