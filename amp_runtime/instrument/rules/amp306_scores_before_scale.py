"""AMP306: attention scores are divided only after a float16 product."""

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
        found(one, f"{named(one.site)} overflows in {one.notes['dtype']}; in float32 it is finite.")
        for one in facts(record, "overflow-matmul")
    ] or NOTHING


CHECK = Check(
    code="AMP306",
    remedy="Divide one factor before the product, or use scaled_dot_product_attention.",
    hears={DeepStepSeen: _seen},
)
