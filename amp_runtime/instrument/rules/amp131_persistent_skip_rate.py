"""AMP131: the scaler goes on leaving steps out after it has found its scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events import ScalerUpdated
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_LEAST = 100  # turns after the first step before a share says anything
_FEWEST = 5
_SHARE = 0.01
_CAUSES = ("AMP107", "AMP117", "AMP118", "AMP129", "AMP132", "AMP133", "AMP134")


@dataclass(slots=True)
class _Record:
    """Of one scaler, since its first step that was not left out."""

    turns: int = 0
    skips: int = 0


def _updated(event: ScalerUpdated, run: Run) -> Findings:
    if run.planted:
        return None
    record = run.memory("AMP131").setdefault(id(event.scaler), _Record())
    if not record.turns and event.skipped:
        return None
    record.turns += 1
    record.skips += event.skipped
    if record.turns < _LEAST:
        return None
    share = record.skips / record.turns
    # each growth may cost one step, whatever the training
    allowed = max(_SHARE, 2 / max(1, int(event.scaler._growth_interval)))
    if not event.skipped or record.skips < _FEWEST or share <= allowed or run.alarmed(_CAUSES):
        return NOTHING
    message = (
        f"The scaler left out {record.skips} of {record.turns} steps since it had found its scale, {share:.1%}; a"
        f" healthy run loses at most {allowed:.1%}."
    )
    values = {"skips": float(record.skips), "turns": float(record.turns), "share": share}
    return [Found(message=message, values=values)]


CHECK = Check(
    code="AMP131",
    remedy="Look for the batches whose gradients overflow, and for the operation that does.",
    hears={ScalerUpdated: _updated},
)
