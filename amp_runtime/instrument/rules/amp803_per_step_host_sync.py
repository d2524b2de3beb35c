"""AMP803: every training step waits for the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import named, place_of, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    waits = [one for one in record.syncs if not one.would and one.site.phase != "scaler"]  # the scaler's are its own
    real = {place: one for one in waits if (place := place_of(one.site)) is not None}
    memory = run.memory("AMP803")
    last, memory["places"] = memory.get("places"), frozenset(real)
    if last is None:
        return None
    return [
        Found(
            message=f"{named(one.site)} makes the host wait for {one.device} {one.count} times in every step.",
            values={"waits": float(one.count)},
            place=place,
        )
        for place, one in real.items()
        if place in last
    ] or NOTHING


CHECK = Check(
    code="AMP803",
    remedy="Read it every hundredth step, or keep it on the device.",
    hears={DeepStepSeen: _seen},
)
