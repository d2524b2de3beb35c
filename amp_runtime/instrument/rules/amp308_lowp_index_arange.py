"""AMP308: indices are kept in half precision, which cannot tell them apart."""

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
    if facts(record, "imprecise-angle"):
        return NOTHING  # AMP307 says what came of it
    return [
        found(
            one,
            f"{named(one.site)} makes whole numbers up to {one.values['largest']:g} {one.notes['dtype']}, which holds "
            f"them apart only up to {one.values['exact_to']:g}.",
        )
        for one in facts(record, "imprecise-integers")
    ] or NOTHING


CHECK = Check(
    code="AMP308",
    remedy="Keep positions and indices in int64 or float32.",
    hears={DeepStepSeen: _seen},
)
