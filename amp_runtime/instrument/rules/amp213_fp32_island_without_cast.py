"""AMP213: a region with autocast off computes with half tensors of the autocast region around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, first_of_each_function, found, named, record_of, trains_half_weights
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    if trains_half_weights(run):
        return None
    return [
        found(
            one,
            f"{named(one.site)} gets {one.notes['dtype']} inside a region that turns autocast off.",
        )
        for one in first_of_each_function(facts(record, "half-in-fp32-region"))
    ] or NOTHING


CHECK = Check(
    code="AMP213",
    remedy="Convert what comes in from outside with `.float()`.",
    hears={DeepStepSeen: _seen},
)
