"""Which loops go through optimizers, so that each turn is about another one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.logic.engine.place import Place


def goes_through_optimizers(place: Place) -> bool:
    """Say whether a call is about the element of a loop around it: `for opt in optimizers: scaler.unscale_(opt)`."""
    call = place.node
    names = {item.id for item in ast.walk(call) if isinstance(item, ast.Name)} if isinstance(call, ast.Call) else set()
    node = place.module.scopes.parents.get(call)
    while node is not None and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if isinstance(node, ast.For) and any(
            isinstance(item, ast.Name) and item.id in names for item in ast.walk(node.target)
        ):
            return True
        node = place.module.scopes.parents.get(node)
    return False
