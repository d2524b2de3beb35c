"""AMP504: `loss.backward()` is called where the framework that prepared the optimizer must do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import ScalerRefused, Unscaling
from ..frameworks import framework
from ..run import Check
from .amp105_unscaled_backward import refused, unscaling

if TYPE_CHECKING:
    from ..run import Findings, Run


def _unscaling(event: Unscaling, run: Run) -> Findings:
    return unscaling(event, run) if framework(run, id(event.scaler)) in ("accelerate", "fabric") else None


def _refused(event: ScalerRefused, run: Run) -> Findings:
    return refused(event, run) if framework(run, id(event.scaler)) in ("accelerate", "fabric") else None


CHECK = Check(
    code="AMP504",
    remedy="Call accelerator.backward(loss), or fabric.backward(loss): they scale it.",
    hears={Unscaling: _unscaling, ScalerRefused: _refused},
)
