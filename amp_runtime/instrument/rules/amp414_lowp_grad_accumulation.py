"""AMP414: gradients of many micro-batches are accumulated in bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import BackwardStarting
from ..measured import facts, place_of, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _starting(event: BackwardStarting, run: Run) -> Findings:
    """Keep the line of the last backward: what the engine adds belongs to no operator of the program."""
    run.memory("AMP414")["place"] = event.place
    return None


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    place = run.memory("AMP414").get("place")
    return [
        Found(
            message=f"{one.values['share']:.0%} of the elements of a {one.notes['dtype']} gradient stay as they are as "
            "the gradient of a further micro-batch is added.",
            values=dict(one.values),
            place=place_of(one.site) or place,
        )
        for one in facts(record, "lost-additions")
        if one.site.phase == "backward"
    ] or NOTHING


CHECK = Check(
    code="AMP414",
    remedy="Accumulate in float32: keep float32 parameters, or a float32 gradient beside each.",
    hears={BackwardStarting: _starting, DeepStepSeen: _seen},
)
