"""Takes out the second `unscale_`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import remove
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None:
        return None
    calls = scaler_calls(read, read.function(call), "unscale_")
    second = next((item for item in calls if item.call is call), None)
    if second is None or not isinstance(second.statement, ast.Expr):
        return None
    block = read.block(second.statement)
    first = [
        item
        for item in calls
        if item.statement in block
        and (item.scaler, item.argument) == (second.scaler, second.argument)
        and item.statement.lineno < second.statement.lineno
    ]
    gone = remove(read, second.statement) if first else None
    return Repair(edits={read.path: (gone,)}, what=f"removes `{read.code(call)}`") if gone is not None else None


FIX = Fix(
    rule="AMP114",
    safety="unsafe",
    summary="Removes the second of two `scaler.unscale_(optimizer)` in one block.",
    repair=_repair,
    declines="the two stand in different blocks or functions, or the second is that of the next micro-batch",
)
