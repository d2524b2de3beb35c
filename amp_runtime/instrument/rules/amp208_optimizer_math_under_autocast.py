"""AMP208: an optimizer that multiplies matrices steps inside an autocast context."""

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
        found(one, f"The optimizer runs {named(one.site)} in {one.notes['dtype']}, as autocast is on around its step.")
        for one in facts(record, "optimizer-math-in-half")[:1]
    ] or NOTHING


CHECK = Check(
    code="AMP208",
    remedy="Leave the autocast context before optimizer.step().",
    hears={DeepStepSeen: _seen},
)
