"""AMP307: angles of positions are computed by a matrix product under autocast."""

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
        found(
            one,
            f"{named(one.site)} gets angles up to {one.values['largest']:.4g} that are off by up to "
            f"{one.values['error_radians']:.3g} radians in half precision.",
        )
        for one in facts(record, "imprecise-angle")
    ] or NOTHING


CHECK = Check(
    code="AMP307",
    remedy="Compute positions times frequencies in float32, inside torch.autocast(..., enabled=False).",
    hears={DeepStepSeen: _seen},
)
