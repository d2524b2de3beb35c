"""AMP302: a guard against zero is itself zero in float16."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, named, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [
        found(one, f"{named(one.site)} gets the constant {one.values['scalar']:g}, which is 0 in {one.notes['dtype']}.")
        for one in facts(record, "scalar-vanishes")
        if one.values["rounded"] == 0.0  # a subnormal one still guards
    ] or NOTHING


CHECK = Check(
    code="AMP302",
    remedy="Convert to float32 before the constant is added, or use one of at least 1e-4.",
    hears={DeepStepSeen: _seen},
)
