"""AMP317: a norm written by hand squares half values."""

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
        found(one, f"{named(one.site)} of a norm overflows in {one.notes['dtype']}: what it normalizes becomes zero.")
        for one in facts(record, "overflow-square", "overflow-reduction")
        if in_norm(one.site)
    ] or NOTHING


CHECK = Check(
    code="AMP317",
    remedy="Convert with `.float()` first, or use torch.nn.functional.rms_norm.",
    hears={DeepStepSeen: _seen},
)
