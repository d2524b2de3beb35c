"""What a path knows about the precision that the parameters of a model were cast to, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.logic.engine.values import Unknown

if TYPE_CHECKING:
    import ast

    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.place import Place
    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key, Optimizer, Value

_SLOT = "dtype of the parameters"
_HALF = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Cast:
    """The last cast of a model's parameters.

    Args:
        dtype: what they are now.
        place: where they were cast.
        late: an optimizer of theirs was there already.
        rounded: where they went through half, late, before they came back to float32.
    """

    dtype: str
    place: Place
    late: bool
    rounded: Place | None = None


def remember_cast(attempt: Attempt, model: Key, dtype: str, node: ast.AST) -> None:
    """Have the path know that a model's parameters are cast, in place, as torch does it for modules."""
    state, place = attempt.state, attempt.frame.place(node)
    late = any(model in optimizer.owners for optimizer in state.known.values())
    before = cast_of(state, model)
    rounded = before.rounded if before is not None else None
    if dtype == "float32" and before is not None and before.late and before.dtype in _HALF:
        rounded = before.place
    state.heap[model, _SLOT] = Unknown(("cast", Cast(dtype, place, late, rounded)))


def cast_of(state: State, model: Key) -> Cast | None:
    """Return the last cast of a model on this path; None where there was none, or paths differ in it."""
    value = state.heap.get((model, _SLOT))
    if not isinstance(value, Unknown) or value.key[0] != "cast":
        return None
    cast = value.key[1]
    return cast if isinstance(cast, Cast) else None


def rounded(*values: Value | None) -> Value | None:
    """Return the value that is a model in float32 which went through half: that one path brings it is enough."""
    for value in values:
        cast = value.key[1] if isinstance(value, Unknown) and value.key[0] == "cast" else None
        if isinstance(cast, Cast) and cast.rounded is not None and cast.dtype == "float32":
            return value
    return None


def casts_of(state: State, optimizer: Optimizer) -> list[Cast]:
    """Return the last casts of the models whose parameters an optimizer steps."""
    known = state.known.get(optimizer.key, optimizer)
    casts = [cast for owner in known.owners if (cast := cast_of(state, owner)) is not None]
    return sorted(casts, key=lambda cast: (cast.place.module.name, cast.place.line))


def casts_of_parts(state: State, optimizer: Optimizer) -> list[Cast]:
    """Return the last casts of parts, such as `model.encoder`, of the models whose parameters an optimizer steps."""
    known = state.known.get(optimizer.key, optimizer)
    parts = [
        key
        for key, slot in state.heap
        if slot == _SLOT and len(key) == 3 and key[0] == "attribute" and key[1] in known.owners
    ]
    casts = [cast for key in parts if (cast := cast_of(state, key)) is not None]
    return sorted(casts, key=lambda cast: (cast.place.module.name, cast.place.line))
