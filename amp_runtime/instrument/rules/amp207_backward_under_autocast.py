"""AMP207: backward runs inside the autocast context of the forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import AutocastExited, BackwardStarting, RunEnded
from ..graph import read
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..events import Event
    from ..graph import Graph
    from ..run import Findings, Run

_SAME_CAUSE = ("AMP201", "AMP205", "AMP503", "AMP603")  # said of a context that encloses whole steps


def _starting(event: BackwardStarting, run: Run) -> Findings:
    """Keep what may be said until the region is left: until then, one that encloses several steps may be found."""
    if not event.autocast:
        return NOTHING
    waiting = run.memory("AMP207").setdefault("waiting", {})
    if event.place not in waiting and (what := _at_stake(read(event.roots))):
        message = (
            f"Backward runs inside an autocast context, and the graph holds {what}: their gradients are computed in "
            f"{run.local.regions[-1].dtype} instead of the type of the forward."
        )
        waiting[event.place] = Found(message=message, place=event.place)
    return NOTHING


def _at_stake(graph: Graph) -> str:
    """Say what makes the gradients differ; torch's own operators in half give the same bits either way."""
    if functions := [seen.function for seen in graph.functions.values() if not _keeps_autocast(seen.function)]:
        return f"the autograd function {functions[0].__name__} that says nothing about autocast"
    if graph.half and graph.products:
        return f"a matrix product in float32 ({', '.join(sorted(graph.products))})"
    return ""


def _keeps_autocast(function: type) -> bool:
    """Whether its backward sets autocast as it was in the forward, as `custom_bwd` does."""
    backward = vars(function).get("backward")
    code = getattr(getattr(backward, "__func__", backward), "__code__", None)
    return code is not None and code.co_name == "decorate_bwd"


def _left(event: Event, run: Run) -> Findings:
    if isinstance(event, AutocastExited) and event.nesting:
        return None
    waiting = run.memory("AMP207").pop("waiting", {})
    return None if run.alarmed(_SAME_CAUSE) else list(waiting.values())


CHECK = Check(
    code="AMP207",
    remedy="Dedent backward, and all that follows it, out of the `with` block; keep only forward and loss inside.",
    hears={BackwardStarting: _starting, AutocastExited: _left, RunEnded: _left},
)
