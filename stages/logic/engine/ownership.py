"""Whose gradients an operation on parameters touches, and what a key stands for on a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.values import Const, Dotted, Items, Optimizer, ScaleNumber, Scaler, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key, Params, Value


def concerned(state: State, params: Params) -> tuple[Key, ...]:
    """Return the optimizers that hold some of these parameters: all known ones where nothing says which."""
    known = state.protocol.optimizers()
    owners = tuple(key for key in known if state.known[key].owners & params.of)
    return owners or known


def scaler_of(state: State, key: Key | None) -> Scaler | None:
    """Return the scaler of that key on this path; None where only its key is left, as of a parameter's attribute."""
    for value in (*state.env.telling.values(), *state.heap.telling.values()):
        if isinstance(value, Scaler) and value.key == key:
            return value
    return None


def clips_nothing_of_the_scale(limit: Value | None) -> bool:
    """Say whether a threshold carries the scale too, or is infinite, as where only the norm is wanted."""
    if isinstance(limit, Dotted):
        return limit.name.rpartition(".")[2] in ("inf", "infty")
    return isinstance(limit, ScaleNumber) or (isinstance(limit, Const) and limit.value == float("inf"))


def made_and_kept(state: State) -> tuple[Key, ...]:
    """Return the optimizers that some name or attribute still holds: one that was replaced clips and steps nothing."""
    values = (*state.env.telling.values(), *state.heap.telling.values())
    kept = {optimizer.key for value in values for optimizer in _optimizers(value)}
    return tuple(key for key in state.protocol.optimizers() if key in kept)


def _optimizers(value: Value) -> Iterator[Optimizer]:
    if isinstance(value, Optimizer):
        yield value
    elif isinstance(value, Items):
        for item in value.values:
            yield from _optimizers(item)
    elif isinstance(value, Table):
        for _, item in value.entries:
            yield from _optimizers(item)
