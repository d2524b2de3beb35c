"""AMP221: fp32 values are added in place to a half tensor and rounded to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, named, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..deep.records import Fact
    from ..run import Findings, Run


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [found(one, _say(one)) for one in facts(record, "inplace-downcast")] or NOTHING


def _say(one: Fact) -> str:
    name = named(one.site)
    if not one.values:
        return f"{name} rounds a {one.notes['operand']} tensor to {one.notes['into']}, as it writes in place."
    lost = f"{one.values['became_infinite']:g} become infinite and {one.values['became_zero']:g} zero"
    return f"{name} writes float32 numbers into a half tensor: {lost}."


CHECK = Check(
    code="AMP221",
    remedy="Write it out of place, `x = x + y`, or make the left side float32.",
    hears={DeepStepSeen: _seen},
)
