"""Computes the logarithm of an activation in one operation."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.rewriting.expressions import as_operand, as_primary, has_module
from stages._source.rewriting.reading import is_plain, reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext

_MODULES = ("torch", "F", "functional")
_SIGMOID = "torch.nn.functional.logsigmoid"


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    if read is None or not has_module(read, "torch"):
        return None
    for call in read.at(finding.location, ast.Call):
        if last_name(call.func) != "log" or call.keywords:
            continue
        inner = call.args[0] if call.args else call.func.value if isinstance(call.func, ast.Attribute) else None
        text = _fused(read, inner) if inner is not None and len(call.args) <= 1 else None
        if text is not None:
            return Repair(edits={read.path: (Edit(*read.text.span(call), text),)}, what=f"writes `{text}`")
    return None


def _fused(read: Reading, node: ast.expr) -> str | None:
    match node:
        case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=right):
            inside = _of_sigmoid(read, right)
            return None if inside is None else f"{_SIGMOID}(-{as_operand(read, inside)})"
        case ast.Call(func=ast.Attribute(attr="softmax", value=owner)) if last_name(owner) in _MODULES:
            return f"{read.code(owner)}.log_softmax{_arguments(read, node)}"
        case ast.Call(func=ast.Attribute(attr="softmax", value=owner)):
            return f"{as_primary(read, owner)}.log_softmax{_arguments(read, node)}"
    inside = _of_sigmoid(read, node)
    return None if inside is None else f"{_SIGMOID}({read.code(inside)})"


def _of_sigmoid(read: Reading, node: ast.expr) -> ast.expr | None:
    """Return what a value is the sigmoid of; through a name only where both have one value in their function."""
    match node:
        case ast.Call(func=ast.Attribute(attr="sigmoid", value=owner), args=[inner], keywords=[]):
            return inner if last_name(owner) in (*_MODULES, "special") else None
        case ast.Call(func=ast.Attribute(attr="sigmoid", value=owner), args=[], keywords=[]):
            return owner
        case ast.Name(id=name):
            stored = [item for item in _stored(read, node) if item.id == name]
            made = read.parents.get(stored[0]) if len(stored) == 1 else None
            if not isinstance(made, ast.Assign) or not isinstance(made.value, ast.Call):
                return None
            source = _of_sigmoid(read, made.value)
            names = {item.id for item in ast.walk(source or made) if isinstance(item, ast.Name)}
            rebound = any(item.id in names and item.lineno > made.lineno for item in _stored(read, node))
            return source if source is not None and _is_cheap(source) and not rebound else None
    return None


def _is_cheap(node: ast.expr) -> bool:
    """Say whether an expression may be written a second time: it calls nothing."""
    return is_plain(node) or (
        isinstance(node, ast.BinOp | ast.UnaryOp) and not any(isinstance(item, ast.Call) for item in ast.walk(node))
    )


def _stored(read: Reading, near: ast.AST) -> list[ast.Name]:
    return [item for item in read.own(read.function(near), ast.Name) if isinstance(item.ctx, ast.Store)]


def _arguments(read: Reading, call: ast.Call) -> str:
    """Return the arguments of a call as they are written, with their parentheses."""
    return read.text.text[read.text.span(call.func)[1] : read.text.span(call)[1]]


FIX = Fix(
    rule="AMP304",
    safety="safe",
    summary="Writes `logsigmoid` for log(sigmoid), also of 1 - sigmoid, and `log_softmax` for log(softmax).",
    repair=_repair,
    declines="the activation is applied in another function, by a module, or to something that is bound anew since",
)
