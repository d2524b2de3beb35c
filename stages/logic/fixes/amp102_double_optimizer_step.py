"""Takes out the second, plain step."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import dotted, reading, receiver
from stages._source.rewriting.statements import remove
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None or not isinstance(call.func, ast.Attribute):
        return None
    statement = read.statement(call)
    block = read.block(statement)
    optimizer = dotted(receiver(call))
    beside = [
        item
        for item in scaler_calls(read, read.function(call), "step")
        if item.argument == optimizer and item.statement in block
    ]
    if not beside or not isinstance(statement, ast.Expr) or statement.value is not call:
        return None
    gone = remove(read, statement)
    return Repair(edits={read.path: (gone,)}, what=f"removes `{read.code(call)}`") if gone is not None else None


FIX = Fix(
    rule="AMP102",
    safety="unsafe",
    summary="Removes the plain `optimizer.step()` beside `scaler.step(optimizer)`.",
    repair=_repair,
    declines="the two stand in different blocks, as the plain one may be that of FP32",
)
