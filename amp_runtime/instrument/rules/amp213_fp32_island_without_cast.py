"""AMP213: a region with autocast off computes with half tensors of the autocast region around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, first_of_each_function, found, named, record_of, trains_half_weights
from ..precision_events import DeepStepSeen, ProgramRaised
from ..raising import clashing, first_line
from ..run import NOTHING, Check, Found

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


def _raised(event: ProgramRaised, run: Run) -> Findings:
    """Hear a product of half and float32, which torch refuses, where elementwise operations go on in half."""
    types, regions = clashing(event), event.regions
    inside = len(regions) > 1 and not regions[-1].enabled and any(region.enabled for region in regions[:-1])
    if not inside or "float32" not in types or not types & {"float16", "bfloat16"}:
        return None
    message = f"A half tensor comes into a region that turns autocast off: {first_line(event.error)}."
    return [Found(message=message)]


CHECK = Check(
    code="AMP213",
    remedy="Convert what comes in from outside with `.float()`.",
    hears={DeepStepSeen: _seen, ProgramRaised: _raised},
)
