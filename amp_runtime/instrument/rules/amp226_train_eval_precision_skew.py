"""AMP226: training runs under autocast and evaluation without, so that their metrics are not comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import BackwardStarting
from ..precision_events import EvaluationSeen
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _starting(event: BackwardStarting, run: Run) -> Findings:
    """Note whether a region was entered since the backward before: then this forward ran under autocast."""
    memory = run.memory("AMP226")
    memory["trained"] = run.entered > memory.get("entered", 0)
    memory["entered"] = run.entered
    return None


def _evaluated(event: EvaluationSeen, run: Run) -> Findings:
    memory = run.memory("AMP226")
    memory["entered"] = run.entered
    first = next(event.module.parameters(), None)
    if first is None or run.gradients.known(first) is None:
        return None  # another model than the one that is trained
    if event.enabled or not memory.get("trained"):
        return NOTHING
    message = (
        f"{type(event.module).__name__} is trained under autocast and evaluated without it: its metrics are those of "
        "other arithmetic than the training's."
    )
    return [Found(message=message)]


CHECK = Check(
    code="AMP226",
    remedy="Evaluate under the same autocast context as the training.",
    hears={BackwardStarting: _starting, EvaluationSeen: _evaluated},
)
