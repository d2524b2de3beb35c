"""AMP303: an upper limit just below one is one in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, named, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run


# added or filled in, a number near one is only rounded; as a limit it was to keep something away from one
_LIMITS = ("aten.clamp", "aten.clamp_", "aten.clamp_max", "aten.clamp_max_")


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [
        found(one, f"{named(one.site)} gets the limit {one.values['scalar']!r}, which is 1 in {one.notes['dtype']}.")
        for one in facts(record, "scalar-becomes-one")
        if one.site.operator in _LIMITS and 0 < one.values["scalar"] < 1
    ] or NOTHING


CHECK = Check(
    code="AMP303",
    remedy="Convert to float32 before limiting, or use log1p and logsigmoid.",
    hears={DeepStepSeen: _seen},
)
