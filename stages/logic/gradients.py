"""Decides whether gradients that a place touches surely carry the loss scale."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function
from stages.logic.engine.protocol import Grads

if TYPE_CHECKING:
    from stages.logic.engine.events import GradsEdited
    from stages.logic.engine.place import Place
    from stages.logic.engine.protocol import Held
    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key

_MASKS = late(r"nan_to_num|isnan|isinf|isfinite")
_ASIDE = late(r"#.*|\.unscale_\(")  # comments, and what the path itself has shown
_UNSCALES = late(
    r"get_scale|inv_scale|\bunscale|(?<!\bimg)(?<!\bimage)(?<!\blr)_scale\b|scale_factor|loss_scale"
    r"|/=?\s*(?:\w+\.)*scale\b(?!\s*\()"  # a division by what is called so, and no call of the scaler
)


def scaled(state: State, of: frozenset[Key]) -> Held | None:
    """Return what the gradients of these models hold if it is scaled on every account; None otherwise."""
    protocol = state.protocol
    owners = [key for key in protocol.optimizers() if state.known[key].owners & of]
    concerned = [protocol.grads(key) for key in owners or protocol.optimizers()] or [protocol.others]
    return concerned[0] if all(held.status is Grads.SCALED for held in concerned) else None


def divides_by_scale(place: Place) -> bool:
    """Say whether the function around a place takes a scale out of something by itself."""
    return _UNSCALES.search(_ASIDE.sub("", function_text(place))) is not None


def function_text(place: Place) -> str:
    """Return the source of the function around a place, or of the statement where there is none."""
    node: ast.AST | None = place.node
    parents = place.module.scopes.parents
    while node is not None and not isinstance(node, Function):
        node = parents.get(node)
    found = node if node is not None else place.node
    first, last = getattr(found, "lineno", 1), getattr(found, "end_lineno", 1)
    return "\n".join(place.module.lines[first - 1 : last])


def masks_nonfinite(event: GradsEdited) -> bool:
    """Say whether a write puts something else where gradients are not finite."""
    statement = _statement(event)
    text = ast.unparse(statement)
    if not _MASKS.search(text):
        return False
    if "nan_to_num(" not in text:
        return True
    return "out=" in text or (isinstance(statement, ast.Assign) and ".grad" in ast.unparse(statement.targets[0]))


def _statement(event: GradsEdited) -> ast.AST:
    node: ast.AST = event.place.node
    parents = event.place.module.scopes.parents
    while not isinstance(node, ast.stmt) and node in parents:
        node = parents[node]
    return node
