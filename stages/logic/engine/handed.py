"""What is known of a function that is not walked into, by its name and what it gets: it clips, or shows gradients."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.logic.engine import effects
from stages.logic.engine.events import Clipped
from stages.logic.engine.values import Gradient, Instance, Optimizer, Params, Scaler

if TYPE_CHECKING:
    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.given import Given
    from stages.logic.engine.walker import Walker

_CLIPPER = late(r"(?:\w+_)?clip(?:\w*_)?(?:fn|func|function)|(?:\w+_)?clipper")
_OBSERVER = late(r"(?:.*[._])?(?:log|add_histogram|Histogram|histogram|record|plot|track)(?:_\w*)?")


def observe_gradients(walker: Walker, attempt: Attempt, given: Given, name: str) -> None:
    """Take gradients that are handed to a log or a plot for read."""
    if _OBSERVER.fullmatch(name):
        for value in given.every():
            if isinstance(value, Gradient):
                effects.read_grads(walker, attempt, given.node, value)
                return


def clip_by_name(walker: Walker, attempt: Attempt, given: Given, name: str) -> None:
    """Take a function that was handed in for clipping, if it is called so and gets parameters and nothing else."""
    if not _CLIPPER.fullmatch(name) or not given.node.args:
        return
    if any(isinstance(value, Scaler | Optimizer | Instance) for value in given.every()):
        return
    first = given.args[0] if given.args else None
    if isinstance(first, Params) or "param" in ast.unparse(given.node.args[0]):
        params = first if isinstance(first, Params) else Params(frozenset())
        place, state = attempt.frame.place(given.node), attempt.state.copy()
        event = Clipped(place=place, state=state, call=given.node, params=params, how=name, limit=None, guessed=True)
        walker.engine.emit(event, attempt.frame)
