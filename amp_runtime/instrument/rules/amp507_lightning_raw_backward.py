"""AMP507: `loss.backward()` is called in a LightningModule instead of `self.manual_backward(loss)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, Unscaling
from ..frameworks import framework
from ..run import Check
from .amp105_unscaled_backward import refused, unscaling

if TYPE_CHECKING:
    from ..run import Findings, Run


def _unscaling(event: Unscaling, run: Run) -> Findings:
    return unscaling(event, run) if framework(run, id(event.scaler)) in ("lightning",) else None


def _refused(event: ScalerRefused, run: Run) -> Findings:
    return refused(event, run) if framework(run, id(event.scaler)) in ("lightning",) else None


CHECK = Check(
    code="AMP507",
    remedy="Call self.manual_backward(loss): it scales the loss.",
    hears={Unscaling: _unscaling, ScalerRefused: _refused},
)
