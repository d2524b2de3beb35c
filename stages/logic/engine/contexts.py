"""Entering and leaving autocast contexts, and what a path inside of them may count on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import AutocastEntered, AutocastLeft
from stages.logic.engine.state import Active
from stages.logic.engine.values import Autocast, Items, NullContext, Value

if TYPE_CHECKING:
    import ast

    from stages.logic.engine.attempt import Attempt, Frame
    from stages.logic.engine.state import State
    from stages.logic.engine.walker import Walker


def enter(walker: Walker, attempt: Attempt, value: Value, node: ast.AST) -> Value:
    """Enter what `with` was given; return what `as` is bound to."""
    if isinstance(value, Items):  # a context manager of the project that enters several
        for item in value.values:
            enter(walker, attempt, item, node)
        return value
    if not isinstance(value, Autocast | NullContext):
        return value
    state, frame = attempt.state, attempt.frame
    if isinstance(value, Autocast):
        walker.engine.emit(AutocastEntered(place=frame.place(node), state=state.copy(), context=value), frame)
    depth = len(frame.open_loops)
    active = Active(value, frame.place(node), depth=depth, calls=len(frame.calls))
    state.contexts = (*state.contexts, active)
    return value


def leave(walker: Walker, state: State, before: int, frame: Frame, node: ast.AST) -> None:
    """Leave every context beyond the first `before`."""
    for active in reversed(state.contexts[before:]):
        if isinstance(active.context, Autocast):
            walker.engine.emit(AutocastLeft(place=frame.place(node), state=state.copy(), active=active), frame)
            if active.context.enabled and not wants_no_gradient(state):
                state.cast = active
    state.contexts = state.contexts[:before]


def autocasting(state: State) -> Active | None:
    """Return the innermost autocast context, if it is on; one that is off counts as none."""
    for active in reversed(state.contexts):
        if isinstance(active.context, Autocast):
            return active if active.context.enabled else None
    return None


def forward_cast(state: State) -> Active | None:
    """Return the autocast context of the forward whose backward comes next, as far as the path shows it."""
    return autocasting(state) or state.cast


def outermost(state: State) -> Active | None:
    """Return the outermost autocast context that is on and caches casts: only when it is left is the cache cleared."""
    for active in state.contexts:
        if isinstance(active.context, Autocast):
            return active if active.context.enabled and active.context.cached else None
    return None


def wants_no_gradient(state: State) -> bool:
    return any(isinstance(active.context, NullContext) and active.context.no_grad for active in state.contexts)
