"""Whether the code around a place trains with several optimizers, so that a backward may be another one's."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from stages.logic.engine.place import Place
    from stages.logic.engine.state import State


def several_optimizers(place: Place, state: State) -> bool:
    """Say whether the path knows, or the function around a place names, more than one optimizer that is stepped."""
    return len(state.protocol.optimizers()) > 1 or len(_named(_around(place))) > 1


def _around(place: Place) -> ast.AST:
    node: ast.AST | None = place.node
    parents = place.module.scopes.parents
    while node is not None and not isinstance(node, Function):
        node = parents.get(node)
    return node if node is not None else place.module.scopes.root.node


def _named(function: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step":
            owner = ast.unparse(node.func.value)
            if vocabulary.called_like_optimizer(last_name(node.func.value)):
                found.add(owner)
            elif node.args and vocabulary.called_like_scaler(last_name(node.func.value)):
                found.add(ast.unparse(node.args[0]))
    return found
