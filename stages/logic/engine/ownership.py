"""Whose gradients an operation on parameters touches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key, Params


def concerned(state: State, params: Params) -> tuple[Key, ...]:
    """Return the optimizers that hold some of these parameters: all known ones where nothing says which."""
    known = state.protocol.optimizers()
    owners = tuple(key for key in known if state.known[key].owners & params.of)
    return owners or known
