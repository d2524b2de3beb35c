"""AMP142: a rank leaves out the backward of a batch that is not finite, and the others wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import BackwardStarting, RunEnded
from ..run import NOTHING, Check, Found
from ..scaling_events import ParallelForward, RanksAgreed

if TYPE_CHECKING:
    from ..run import Findings, Run


def _forward(event: ParallelForward, run: Run) -> Findings:
    kept = run.memory("AMP142")
    left, kept["waiting"] = kept.get("waiting"), None
    if event.finite is False:
        kept["waiting"] = event.place
    return _found(left)


def _backward(event: BackwardStarting, run: Run) -> Findings:
    if run.memory("AMP142").pop("waiting", None) is None:
        return None
    return NOTHING  # the batch that is not finite runs backward as on every rank


def _agreed(event: RanksAgreed, run: Run) -> Findings:
    run.memory("AMP142").pop("waiting", None)
    return None


def _ended(event: RunEnded, run: Run) -> Findings:
    return _found(run.memory("AMP142").pop("waiting", None))


def _found(place: tuple[str, int] | None) -> Findings:
    if place is None:
        return None
    message = (
        "A batch whose forward is not finite runs no backward, and the ranks have not agreed on that: ranks whose batch"
        " is finite wait for its gradients."
    )
    return [Found(message=message, place=place)]


CHECK = Check(
    code="AMP142",
    remedy="Run backward on every rank and let the scaler skip, or agree with torch.distributed.all_reduce.",
    hears={ParallelForward: _forward, BackwardStarting: _backward, RanksAgreed: _agreed, RunEnded: _ended},
)
