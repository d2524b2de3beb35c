"""AMP316: a bfloat16 tensor is cast to float16."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [
        found(one, f"{one.values['became_infinite']:g} bfloat16 numbers become infinite as they are cast to float16.")
        for one in facts(record, "lossy-cast")
        if one.values["became_infinite"]  # what becomes zero is below 6e-8
    ] or NOTHING


CHECK = Check(
    code="AMP316",
    remedy="Stay in bfloat16, or convert to float32.",
    hears={DeepStepSeen: _seen},
)
