"""AMP305: squares are summed in float16, where they are infinite beyond 256."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, in_norm, named, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [
        found(one, f"{named(one.site)} overflows in {one.notes['dtype']}; in float32 it is finite.")
        for one in facts(record, "overflow-square", "overflow-reduction")
        if not in_norm(one.site)
    ] or NOTHING


CHECK = Check(
    code="AMP305",
    remedy="Convert with `.float()` before squaring.",
    hears={DeepStepSeen: _seen},
)
