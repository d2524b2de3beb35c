"""AMP202: parameters are written inside an autocast context, between two forwards in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import StaleWeightsUsed
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _used(event: StaleWeightsUsed, run: Run) -> Findings:
    write = event.write
    if write.what == "step" or write.region is None:
        return None
    how = f"loaded by {write.name}" if write.what == "load" else "written in place"
    message = (
        f"Parameters were {how} inside of an autocast context, and the next forward in it used the half copies of "
        f"{event.stale} of {event.casts} weights that were cached before."
    )
    return [Found(message=message, values={"stale": float(event.stale)}, place=write.place)]


CHECK = Check(
    code="AMP202",
    remedy="Leave the context before weights are written, or call torch.clear_autocast_cache() after it.",
    hears={StaleWeightsUsed: _used},
)
