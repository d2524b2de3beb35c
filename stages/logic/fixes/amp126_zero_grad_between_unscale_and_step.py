"""Clears the gradients behind the step."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import move_after
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None:
        return None
    statement = read.statement(call)
    block = read.block(statement)
    behind = [
        item.statement
        for item in scaler_calls(read, read.function(call), "step", "update")
        if item.statement in block and item.statement.lineno > statement.lineno
    ]
    edits = move_after(read.text, statement, behind[-1]) if behind and isinstance(statement, ast.Expr) else None
    return Repair(edits={read.path: edits}, what=f"moves `{read.code(call)}` behind the step") if edits else None


FIX = Fix(
    rule="AMP126",
    safety="unsafe",
    summary="Moves `zero_grad()` behind the step and the update of its block.",
    repair=_repair,
    declines="the step stands in another block",
)
