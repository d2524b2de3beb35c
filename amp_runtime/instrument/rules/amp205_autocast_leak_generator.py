"""AMP205: a generator yields inside an autocast context, so that its consumer runs under it as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import AutocastEntered, BackwardStarting, OptimizerStepping
from ..frames import Frames
from ..precision_events import LossCalled
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..events import Event
    from ..run import Findings, Run


def _leaked(event: Event, run: Run) -> Findings:
    suspended = [region for region in run.local.regions if region.generator is not None]
    if not suspended:
        return None
    found = []
    for region in suspended:
        frame = region.generator
        if not region.enabled or Frames.runs(frame):
            continue
        message = (
            f"{frame.f_code.co_name}() gives control away inside an autocast context, and {_NAMES[type(event)]} of its "
            f"consumer at line {event.place[1]} runs under {region.dtype} autocast."
        )
        found.append(Found(message=message, place=(frame.f_code.co_filename, frame.f_lineno)))
    return found or NOTHING


_NAMES: dict[type[Event], str] = {
    AutocastEntered: "a region",
    BackwardStarting: "a backward",
    LossCalled: "a loss",
    OptimizerStepping: "a step",
}

CHECK = Check(
    code="AMP205",
    remedy="Compute inside the context, leave it, and yield the result outside of it.",
    hears=dict.fromkeys(_NAMES, _leaked),
)
