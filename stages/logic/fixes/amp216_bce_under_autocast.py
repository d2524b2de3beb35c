"""Computes binary cross entropy from logits, where the sigmoid stands right there."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.rewriting.reading import is_plain, reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext

_OLD, _NEW = "binary_cross_entropy", "binary_cross_entropy_with_logits"


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    found = read.at(finding.location, ast.Call) if read is not None else []
    call = next((item for item in found if isinstance(item.func, ast.Attribute) and item.func.attr == _OLD), None)
    if read is None or call is None or not call.args or isinstance(call.args[0], ast.Starred):
        return None
    base = read.code(call.func)[: -len(_OLD) - 1]
    if base == "torch":
        return None  # torch.binary_cross_entropy_with_logits counts its reductions by number
    logits = _logits(read, call.args[0])
    if logits is None:
        return None
    end = read.text.span(call.func)[1]
    edits = (Edit(end - len(_OLD), end, _NEW), Edit(*read.text.span(call.args[0]), logits))
    return Repair(edits={read.path: edits}, what=f"writes `{_NEW}({logits}, ...)`")


def _logits(read: Reading, node: ast.expr) -> str | None:
    """Return what a probability is the sigmoid of: written there, or bound once to a name, its source unchanged."""
    match node:
        case ast.Call(func=func, args=[inner], keywords=[]) if last_name(func) == "sigmoid" and _is_function(func):
            return read.code(inner)
        case ast.Call(func=ast.Attribute(attr="sigmoid", value=inner), args=[], keywords=[]):
            return read.code(inner)
        case ast.Name(id=name):
            bound = [item for item in _stored(read, node) if item.id == name]
            made = read.parents.get(bound[0]) if len(bound) == 1 else None
            if isinstance(made, ast.Assign) and len(made.targets) == 1 and isinstance(made.value, ast.Call):
                sources = [*made.value.args, getattr(made.value.func, "value", None)]
                same = all(_bound_once(read, node, item) for item in sources if item is not None)
                return _logits(read, made.value) if same else None
    return None


def _is_function(func: ast.expr) -> bool:
    """Say whether it is torch's function, by its name; a module or a method of the project is none."""
    return (
        isinstance(func, ast.Attribute)
        and isinstance(func.value, ast.Name | ast.Attribute)
        and (last_name(func.value) in ("torch", "F", "functional", "special"))
    )


def _bound_once(read: Reading, near: ast.AST, node: ast.AST) -> bool:
    """Say whether an expression is a name that has one value in its function, so that it is the same further down."""
    if not isinstance(node, ast.Name):
        return isinstance(node, ast.Attribute) and is_plain(node) and last_name(node.value) in ("torch", "nn")
    return len([item for item in _stored(read, near) if item.id == node.id]) <= 1


def _stored(read: Reading, near: ast.AST) -> list[ast.Name]:
    return [item for item in read.own(read.function(near), ast.Name) if isinstance(item.ctx, ast.Store)]


FIX = Fix(
    rule="AMP216",
    safety="safe",
    summary="Writes `binary_cross_entropy_with_logits` and leaves out the sigmoid, where it is applied in sight.",
    repair=_repair,
    declines="the probabilities are made elsewhere, or the loss is a module, as then the model has to change too",
)
