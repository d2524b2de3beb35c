"""Enters an autocast context that was made and dropped."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import indent, lines_of
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_ENDS = frozenset(["backward", "manual_backward", "step", "scale", "zero_grad"])


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None:
        return None
    statement = read.statement(call)
    if not isinstance(statement, ast.Expr) or statement.value is not call or lines_of(read.text, statement) is None:
        return None
    block = read.block(statement)
    inside = []
    for item in block[block.index(statement) + 1 :]:
        if any(isinstance(node, ast.Call) and last_name(node.func) in _ENDS for node in ast.walk(item)):
            break
        inside.append(item)
    edits = indent(read.text, inside) if inside else None
    if not edits:
        return None
    start, end = read.text.span(statement)
    opened = (Edit(start, start, "with "), Edit(end, end, ":"), *edits)
    return Repair(edits={read.path: opened}, what=f"enters `{read.code(call)}` for {len(inside)} statements")


FIX = Fix(
    rule="AMP210",
    safety="unsafe",
    summary=(
        "Makes it a `with` block around the statements up to the backward pass. Unsafe, as it turns autocast on where"
        " it never was, and how far it was meant to reach is a guess."
    ),
    repair=_repair,
    declines="the context is assigned to a name, or nothing follows before the backward pass",
)
