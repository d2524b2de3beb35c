"""AMP124: the number of a loss is read after it was scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import RunEnded, StepEnded
from ..phrases import scale_value
from ..run import NOTHING, Check, Found
from ..scaling_events import LossRead

if TYPE_CHECKING:
    from ..events import Event
    from ..run import Findings, Run


def _read(event: LossRead, run: Run) -> Findings:
    """Wait for the end of the step: the line may ask for the scale as well, and so know of it."""
    scale = run.scale_of(event.scaler)
    values = {"read": event.value, **scale_value(scale)}
    said = ""
    if scale:
        values["loss"] = event.value / scale
        said = f": {event.value:.4g} is read where the loss is {values['loss']:.4g}"
    message = f"The number of a loss is read after it was scaled{said}."
    waiting = run.memory("AMP124").setdefault("waiting", {})
    waiting[event.scaler, event.place] = Found(message=message, values=values, place=event.place)
    return NOTHING


def _ended(event: Event, run: Run) -> Findings:
    waiting = run.memory("AMP124").pop("waiting", None)
    if waiting is None:
        return None
    known = {place for seen in run.scalers.values() for place in seen.read_at}
    return [found for (_scaler, place), found in waiting.items() if place not in known]


CHECK = Check(
    code="AMP124",
    remedy="Keep the loss under its own name, and scale it only for backward: scaler.scale(loss).backward().",
    hears={LossRead: _read, StepEnded: _ended, RunEnded: _ended},
)
