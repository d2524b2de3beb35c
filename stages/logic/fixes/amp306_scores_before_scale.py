"""Scales the query before the product instead of the scores behind it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.rewriting.expressions import as_operand
from stages._source.rewriting.reading import reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    calls = read.at(finding.location, ast.Call) if read is not None else []
    for call in calls:
        values = [*([call.func.value] if isinstance(call.func, ast.Attribute) else []), *call.args[:1]]
        for value in values:
            text = _scaled_first(read, value) if read is not None else None
            if read is not None and text is not None and "#" not in read.code(value):
                return Repair(edits={read.path: (Edit(*read.text.span(value), text),)}, what=f"writes `{text}`")
    return None


def _scaled_first(read: Reading, value: ast.expr) -> str | None:
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Mult | ast.Div):
        return None
    sign = "*" if isinstance(value.op, ast.Mult) else "/"
    scale = as_operand(read, value.right)
    match value.left:
        case ast.BinOp(left=query, op=ast.MatMult(), right=key):
            return f"({as_operand(read, query)} {sign} {scale}) @ {as_operand(read, key)}"
        case ast.Call(func=func, args=[query, key], keywords=[]) if last_name(func) in ("matmul", "bmm"):
            return f"{read.code(func)}({as_operand(read, query)} {sign} {scale}, {read.code(key)})"
    return None


FIX = Fix(
    rule="AMP306",
    safety="safe",
    summary="Moves the factor from the scores to the query: `(q * scale) @ k`.",
    repair=_repair,
    declines="the product is not written where it is scaled",
)
