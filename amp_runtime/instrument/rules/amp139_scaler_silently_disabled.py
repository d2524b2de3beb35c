"""AMP139: a scaler turned itself off, as its device is not there, and float16 trains on another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import BackwardStarting, OptimizerStepping, ScalerMade
from ..halves import note_backward, note_scaler, steps_unscaled_half, switched_off
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_MESSAGE = (
    "The scaler that is made here is for a device that is not there and turned itself off, while float16 trains on "
    "another: nothing scales the loss."
)


def _made(event: ScalerMade, run: Run) -> Findings:
    note_scaler(event, run)
    return None


def _starting(event: BackwardStarting, run: Run) -> Findings:
    note_backward(event, run)
    return None


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    unscaled = steps_unscaled_half(event, run)
    if unscaled is None:
        return None
    scaler = switched_off(run)
    if not unscaled or scaler is None or scaler.asked is not True:
        return NOTHING
    return [Found(message=_MESSAGE, place=scaler.place)]


CHECK = Check(
    code="AMP139",
    remedy='Name the device that trains: torch.amp.GradScaler("cpu").',
    hears={ScalerMade: _made, BackwardStarting: _starting, OptimizerStepping: _stepping},
)
