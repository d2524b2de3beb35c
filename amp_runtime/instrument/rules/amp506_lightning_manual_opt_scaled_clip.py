"""AMP506: a LightningModule with manual optimization clips gradients that carry the loss scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Clipping
from ..frameworks import framework
from ..gradients import SCALED
from ..run import NOTHING, Check
from .amp103_clip_before_unscale import clipped

if TYPE_CHECKING:
    from ..run import Findings, Run


def _clipping(event: Clipping, run: Run) -> Findings:
    if not any(framework(run, scaler) in ("lightning",) for scaler in run.scalers):
        return None
    scaled = event.gradients.unused(SCALED)
    if not scaled or len(scaled) < sum(one.tensor() is not None for one in event.gradients):
        return NOTHING
    return [clipped(event, scaled[0].scale)] if framework(run, scaled[0].scaler) in ("lightning",) else NOTHING


CHECK = Check(
    code="AMP506",
    remedy="Call self.trainer.precision_plugin.scaler.unscale_(optimizer) before gradients are clipped.",
    hears={Clipping: _clipping},
)
