"""Finds scalers that an object makes for an optimizer of somebody else, and whose state it gives to nobody."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.origins import attribute_bindings, lineage

if TYPE_CHECKING:
    from stages._source.program.scopes import Scope
    from stages.logic.view import View

_ROLE = late(r"\w*(?:Trainer|Hook|Callback|Runner|Engine)\w*")
_STATE = late(r"scaler\w*\s*\.\s*(?:load_)?state_dict|(?:scaler|loss_scale)\w*['\"]\s*[\]:]")


def lent_to_nobody(view: View, cls: Scope, name: str) -> ast.Call | None:
    """Return the step of an optimizer that a trainer or hook was given, if the state of its own scaler stays with it.

    Args:
        cls: the class that makes the scaler.
        name: of the attribute that holds it.
    """
    assert isinstance(cls.node, ast.ClassDef)
    names = (cls.node.name, *map(last_name, cls.node.bases))
    if not any(_ROLE.fullmatch(item) for item in names):
        return None
    if any(_STATE.search(line) for module in view.project.modules for line in module.lines):
        return None
    for owner in lineage(view.project, cls):
        for node in ast.walk(owner.node):
            match node:
                case ast.Call(func=ast.Attribute(attr="step", value=ast.Attribute(attr=attr)), args=[given]):
                    if attr == name and _is_given(view, cls, given):
                        return node
    return None


def _is_given(view: View, cls: Scope, optimizer: ast.expr) -> bool:
    """Say whether the class does not make the optimizer itself, and so does not decide what is kept of it."""
    if not vocabulary.called_like_optimizer(last_name(optimizer)):
        return False
    match optimizer:
        case ast.Attribute(value=ast.Name(id="self"), attr=attr):
            bound = attribute_bindings(view.project, cls, attr)
            return not any(isinstance(binding.value, ast.Call) for binding in bound)
        case ast.Attribute():
            return True
    return False
