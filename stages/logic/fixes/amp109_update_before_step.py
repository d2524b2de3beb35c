"""Puts the update of the scaler behind the step."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import after, move_after, remove
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Edit, Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None:
        return None
    calls = scaler_calls(read, read.function(call), "step", "update")
    update = next((item for item in calls if item.call is call and item.method == "update"), None)
    if update is None or not isinstance(update.statement, ast.Expr):
        return None
    steps = [item for item in calls if item.method == "step" and item.scaler == update.scaler]
    block = read.block(update.statement)
    code = read.code(update.statement)
    behind = [item for item in steps if item.statement in block and item.statement.lineno > update.statement.lineno]
    if behind:
        edits: tuple[Edit, ...] | None = move_after(read.text, update.statement, behind[-1].statement)
        return Repair(edits={read.path: edits}, what=f"moves `{code}` behind the step") if edits else None
    tests = [node for node in block if isinstance(node, ast.If)]
    guarded = [item for item in steps if read.parents.get(item.statement) in tests]
    if len(guarded) != 1 or "\n" in code:
        return None
    gone, new = remove(read, update.statement), after(read.text, guarded[0].statement, code)
    if gone is None or new is None:
        return None
    return Repair(edits={read.path: (gone, new)}, what=f"moves `{code}` under the test that guards the step")


FIX = Fix(
    rule="AMP109",
    safety="safe",
    summary="Moves `scaler.update()` behind the step, under the same test.",
    repair=_repair,
    declines="the step stands in another function, or under more than one test",
)
