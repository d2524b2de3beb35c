"""The arguments of a call, evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.logic.engine.values import Items, Table, Value

if TYPE_CHECKING:
    import ast


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a call, evaluated. `whole` is False where a star passes what cannot be seen."""

    node: ast.Call
    args: tuple[Value, ...]
    keywords: dict[str, Value]
    whole: bool
    dropped: bool

    def get(self, position: int, name: str) -> Value | None:
        """Return an argument by its position or its name."""
        if name in self.keywords:
            return self.keywords[name]
        return self.args[position] if 0 <= position < len(self.args) else None

    def every(self) -> tuple[Value, ...]:
        """Return all arguments, those inside displays included."""
        return tuple(_flat((*self.args, *self.keywords.values())))


def _flat(values: tuple[Value, ...]) -> list[Value]:
    found: list[Value] = []
    for value in values:
        if isinstance(value, Items):
            found += _flat(value.values)
        elif isinstance(value, Table):
            found += _flat(tuple(item for _, item in value.entries))
        else:
            found.append(value)
    return found
