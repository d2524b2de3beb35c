"""AMP210: an autocast context is made and never entered."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..events import AutocastEntered, RunEnded, StepEnded
from ..precision_events import AutocastApplied, AutocastMade
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..events import Event
    from ..run import Findings, Run


@dataclass(slots=True)
class _Unused:
    context: weakref.ref[Any]
    device: str
    place: tuple[str, int]
    rested: int  # steps that were not looked at until it was made


def _made(event: AutocastMade, run: Run) -> Findings:
    if event.context is None or event.via or not event.asked:
        return None
    made = run.memory("AMP210")
    key = str(id(event.context))
    before = made.get(key)  # one that is gone, whose place in memory the new one has
    made[key] = _Unused(weakref.ref(event.context), event.device, event.place, run.rested)
    return NOTHING if before is None else _say([before], run)


def _used(event: AutocastEntered | AutocastApplied, run: Run) -> Findings:
    run.memory("AMP210").pop(str(id(event.context)), None)
    return NOTHING


def _step(event: Event, run: Run) -> Findings:
    """Tell of contexts that are gone and were never entered."""
    waiting: dict[str, _Unused] = run.memory("AMP210")
    gone = [key for key, unused in waiting.items() if unused.context() is None]
    return _say([waiting.pop(key) for key in gone], run) or None


def _end(event: RunEnded, run: Run) -> Findings:
    """Tell of those that are still there too, if the program trained and never entered any for that device."""
    found = list(_step(event, run) or ())
    waiting: dict[str, _Unused] = run.memory("AMP210")
    if run.step > 1 and not run.entered:
        found += _say(waiting.values(), run)
    return found or None


def _say(some: Iterable[_Unused], run: Run) -> list[Found]:
    """Tell of these, but not of those that may have been entered while nobody looked."""
    found = []
    for unused in some:
        message = f"An autocast context for {unused.device} is made here and never entered: everything runs in float32."
        if unused.rested == run.rested:
            found.append(Found(message=message, place=unused.place))
    return found


CHECK = Check(
    code="AMP210",
    remedy="Write `with torch.autocast(...):` around forward and loss.",
    hears={
        AutocastMade: _made,
        AutocastEntered: _used,
        AutocastApplied: _used,
        StepEnded: _step,
        RunEnded: _end,
    },
)
