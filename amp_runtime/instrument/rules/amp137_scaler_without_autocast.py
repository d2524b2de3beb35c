"""AMP137: a loss is scaled, and nothing that leads to it runs in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import BackwardStarting, RunEnded, StepEnded
from ..halves import formats
from ..phrases import line, scale_value
from ..run import Check, Found

if TYPE_CHECKING:
    from ..events import Event
    from ..run import Findings, Run


_STEPS = 3  # a first step may be a warm-up


def _starting(event: BackwardStarting, run: Run) -> Findings:
    if run.close:
        found = None
        for scaler in {scaler for way in event.provenance.ways for scaler in way}:
            found = formats(event, run) if found is None else found
            seen = run.memory("AMP137").setdefault(scaler, [event.place, set()])
            seen[1].update(found)
    return None


def _ended(event: Event, run: Run) -> Findings:
    kept = run.memory("AMP137")
    if not kept or not run.close or (event.step < _STEPS and not isinstance(event, RunEnded)):
        return None
    found = []
    for scaler, (place, formats_seen) in kept.items():
        known = run.scalers.get(scaler)
        if formats_seen or known is None:
            continue
        scale = run.scale_of(scaler)
        message = (
            f"The loss of the backward at {line(place)} is scaled{'' if scale is None else f' by {scale:g}'}, and"
            " nothing below it was computed in float16."
        )
        made_at = known.made_at if known.made_at[0] else place
        found.append(Found(message=message, values=scale_value(scale), place=made_at))
    return found


CHECK = Check(
    code="AMP137",
    remedy="Run forward and loss under torch.autocast(device, dtype=torch.float16), or leave the scaler out.",
    hears={BackwardStarting: _starting, StepEnded: _ended, RunEnded: _ended},
)
