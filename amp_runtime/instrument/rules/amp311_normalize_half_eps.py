"""AMP311: `normalize` or `cosine_similarity` of float16 tensors runs without autocast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import found, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [
        found(one, f"{one.site.api} gives {one.kind} in half, where its eps is 0; in float32 it is finite.", {})
        for one in record.births
        if one.site.api in ("normalize", "cosine_similarity") and one.fp32_finite
    ] or NOTHING


CHECK = Check(
    code="AMP311",
    remedy="Convert with `.float()` first.",
    hears={DeepStepSeen: _seen},
)
