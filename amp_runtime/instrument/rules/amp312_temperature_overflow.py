"""AMP312: logits are divided by a small temperature until their exponential is infinite."""

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
        for one in facts(record, "overflow-exp")
    ] or NOTHING


CHECK = Check(
    code="AMP312",
    remedy="Convert the logits with `.float()` before dividing, and use softmax or logsumexp.",
    hears={DeepStepSeen: _seen},
)
