"""Decides which layer of torch an expression is, and what dtype it gives."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program.origins import origins, resolve_bindings
from stages.logic.dtypes import operations
from stages.logic.dtypes.known import FLOAT32, UNKNOWN, Known, Region, low_dtype

if TYPE_CHECKING:
    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope

_DEEPEST = 4


def layer_calls(project: Project, expr: ast.expr, scope: Scope) -> list[tuple[ast.Call, Scope]]:
    """Return the constructor calls of the layer that an expression stands for; none where one of them is not known."""
    if isinstance(expr, ast.Call):
        return [(expr, scope)]
    if not isinstance(expr, ast.Name | ast.Attribute):
        return []
    found: list[tuple[ast.Call, Scope]] = []
    for binding in resolve_bindings(project, expr, scope):
        if binding.how != "value" or not isinstance(binding.value, ast.Call):
            return []
        found.append((binding.value, binding.scope))
    return found


@dataclass(frozen=True, slots=True)
class Passing:
    """A layer is called at `node`, under an autocast."""

    project: Project
    region: Region
    node: ast.AST


def through_layer(passing: Passing, made: tuple[ast.Call, Scope], given: Known, depth: int = 0) -> Known | None:
    """Return what a layer made by a call gives for its input; None where it is no layer of torch."""
    (call, scope), region, node = made, passing.region, passing.node
    names = {name for name in origins(passing.project, call.func, scope) if name.startswith("torch.nn.")}
    if len(names) != 1:
        return None
    name = names.pop().rpartition(".")[2]
    if name in operations.LOWERED_LAYERS:
        if region.low:
            return Known(low_dtype(region), node).marked("matmul", node)
        return given.plain() if given.low else UNKNOWN
    if name in operations.RAISED_LAYERS:
        if name == "Softmax" and not region.low:
            return given.plain().marked("softmax", node) if given.low else given.plain()
        return FLOAT32 if region.low or not given.low else given.plain()
    if name == "Sigmoid":
        return given.plain().marked("sigmoid", node)
    if name in operations.KEPT_LAYERS:
        return given.plain()
    if name == "Sequential" and depth < _DEEPEST and call.args:
        return _through_all(passing, made, given, depth)
    return UNKNOWN


def _through_all(passing: Passing, made: tuple[ast.Call, Scope], given: Known, depth: int) -> Known:
    known = given
    for part in made[0].args:
        parts = layer_calls(passing.project, part, made[1])
        known = (through_layer(passing, parts[0], known, depth + 1) if len(parts) == 1 else None) or UNKNOWN
    return known
