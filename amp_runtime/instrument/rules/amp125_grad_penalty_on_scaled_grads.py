"""AMP125: a penalty is computed from gradients that carry the loss scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..events import BackwardStarting, GradTaken, StepEnded
from ..penalties import misused
from ..phrases import line, of_scale, scale_value
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


@dataclass(slots=True)
class _Taken:
    """Gradients of a scaled loss that have a graph, by the nodes that made them."""

    nodes: list[Any]
    scale: float | None
    place: tuple[str, int]


def _taken(event: GradTaken, run: Run) -> Findings:
    scaler = next((way[0] for way in event.provenance.ways if way), 0)
    if not event.create_graph or not scaler or not run.close:
        return None
    nodes = [one.grad_fn for one in event.results if one is not None and one.grad_fn is not None]
    waiting = run.memory("AMP125").setdefault("taken", [])
    waiting.append(_Taken(nodes=nodes, scale=run.scale_of(scaler), place=event.place))
    return None


def _starting(event: BackwardStarting, run: Run) -> Findings:
    waiting = run.memory("AMP125").pop("taken", None)
    if waiting is None:
        return None
    found = []
    for taken in waiting:
        if operation := misused(event.roots, taken.nodes, taken.scale):
            message = (
                f"Gradients that carry the loss scale{of_scale(taken.scale)} are part of the loss at"
                f" {line(event.place)}, and {operation} makes of them what no division of the result sets right."
            )
            found.append(Found(message=message, values=scale_value(taken.scale), place=taken.place))
    return found


def _ended(event: StepEnded, run: Run) -> Findings:
    run.memory("AMP125").pop("taken", None)  # they hold a graph
    return None


CHECK = Check(
    code="AMP125",
    remedy="Divide such gradients by scaler.get_scale() first, and scale the loss that the penalty becomes part of.",
    hears={GradTaken: _taken, BackwardStarting: _starting, StepEnded: _ended},
)
