"""AMP602: a model is traced inside an autocast context that caches cast weights."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..precision_events import ProgramRaised
from ..raising import says
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_REFUSED = re.compile(r"Cannot insert a Tensor that requires grad as a constant")


def _raised(event: ProgramRaised, run: Run) -> Findings:
    regions = event.regions
    if not says(event, _REFUSED) or not regions or not (regions[-1].enabled and regions[-1].cache):
        return None
    message = (
        f"Tracing under {regions[-1].dtype} autocast finds a half copy of a weight in the cache, and cannot take it "
        "for a constant."
    )
    return [Found(message=message)]


CHECK = Check(
    code="AMP602",
    remedy="Trace inside torch.autocast(..., cache_enabled=False).",
    hears={ProgramRaised: _raised},
)
