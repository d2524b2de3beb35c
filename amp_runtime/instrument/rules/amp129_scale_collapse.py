"""AMP129: the loss scale falls and falls, as no step has finite gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events import ScalerUpdated
from ..phrases import scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_RUN = 8
_DEAD = 2.0**-100
_CAUSES = ("AMP107", "AMP117", "AMP118", "AMP132", "AMP133", "AMP134")  # what overflows by itself is told as such


@dataclass(slots=True)
class _Fall:
    """Of one scaler: turns left out in a row, and whether any was not."""

    skips: int = 0
    stepped: bool = False


def _updated(event: ScalerUpdated, run: Run) -> Findings:
    fall = run.memory("AMP129").setdefault(id(event.scaler), _Fall())
    if run.planted:
        return None
    fall.skips = fall.skips + 1 if event.skipped else 0
    fall.stepped = fall.stepped or not event.skipped
    low = event.after is not None and event.after < 1
    # a scale that begins too high comes down first, with every loss finite
    long = fall.skips >= _RUN and (fall.stepped or not _finite(run))
    if not (low and event.skipped) and not long:
        return NOTHING
    if run.alarmed(_CAUSES):
        return NOTHING
    said = f"{fall.skips} steps in a row were left out"
    if event.after is not None:
        said += f", and the loss scale is {event.after:.4g}"
    if event.after is not None and event.after < _DEAD:
        said += "; soon its inverse is infinite, and the next finite gradients destroy the weights"
    values = {"skips": float(fall.skips), **scale_value(event.after)}
    return [Found(message=f"{said[0].upper()}{said[1:]}: the gradients are not finite at any scale.", values=values)]


def _finite(run: Run) -> bool:
    """Whether the losses of this step are finite, where that can be read without waiting."""
    losses = [loss for loss, _scale in run.steps.losses if loss.device.type == "cpu"]
    return bool(losses) and all(bool(loss.isfinite().all()) for loss in losses)


CHECK = Check(
    code="AMP129",
    remedy="Find the first operation that gives NaN or inf, or train in bfloat16; stop when the scale falls below 1.",
    hears={ScalerUpdated: _updated},
)
