"""Decides whether what a scaler multiplies is float16, and whether it is one number or many."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.testfiles import is_test_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.dtypes.known import Unit

_REDUCES = frozenset(["mean", "sum"])


@dataclass(frozen=True, slots=True)
class ScaledHalf:
    """A call of `scaler.scale` with a float16 tensor.

    Args:
        many: it has more than one element: what comes back is reduced only afterwards.
    """

    call: ast.Call
    value: ast.expr
    many: bool


def scaled_halves(unit: Unit) -> Iterator[ScaledHalf]:
    """Yield the calls of a scaler's `scale` in a function that give it float16.

    What the function was given itself is left out: that one caller, perhaps a test, passes float16 says little.
    """
    if is_test_file(unit.module.path):
        return
    for node in list(unit.known):
        match node:
            case ast.Call(func=ast.Attribute(attr="scale", value=owner), args=[value], keywords=[]):
                if not vocabulary.called_like_scaler(last_name(owner)) or unit.at(value).dtype != "float16":
                    continue
                if not isinstance(value, ast.Name) or value.id not in unit.given:
                    yield ScaledHalf(node, value, _is_reduced_later(unit, node))


def _is_reduced_later(unit: Unit, call: ast.Call) -> bool:
    """Say whether the scaled value is averaged or summed before backward, so that it has many elements here."""
    around = unit.module.scopes.parents.get(call)
    if isinstance(around, ast.Attribute):
        return around.attr in _REDUCES
    if not isinstance(around, ast.Assign) or len(around.targets) != 1 or not isinstance(around.targets[0], ast.Name):
        return False
    name, node = around.targets[0].id, unit.scope.node
    return any(
        isinstance(part, ast.Attribute)
        and part.attr in _REDUCES
        and isinstance(part.value, ast.Name)
        and part.value.id == name
        and part.lineno > call.lineno
        for part in own_nodes(node.body if isinstance(node, Function | ast.Module) else [])
    )
