"""AMP318: a module's output comes close to the largest float16 number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, named, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run


_LIMIT = 65472  # what is nearer to 65504 is a mask of torch.finfo(torch.float16).min, as it should be


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [
        found(one, f"{named(one.site)} gives {one.values['largest']:.0f}, of {one.values['limit']:.0f} in float16.")
        for one in facts(record, "near-overflow")
        if one.values["largest"] < _LIMIT
    ] or NOTHING


CHECK = Check(
    code="AMP318",
    remedy="Scale what grows, keep this part in float32, or use bfloat16.",
    hears={DeepStepSeen: _seen},
)
