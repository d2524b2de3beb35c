"""Updates the scaler once, behind the last of several steps."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import after, move_after, remove
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from stages.logic.scaler_calls import ScalerCall
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
    edits, what = _once(read, update, [item for item in calls if item.scaler == update.scaler])
    return Repair(edits={read.path: edits}, what=what) if edits else None


def _once(read: Reading, update: ScalerCall, calls: list[ScalerCall]) -> tuple[tuple[Edit, ...] | None, str]:
    block, code = read.block(update.statement), read.code(update.statement)
    later = [item for item in calls if item.statement in block and item.statement.lineno > update.statement.lineno]
    steps = [item for item in later if item.method == "step"]
    if steps and any(item.method == "update" and item.statement.lineno > steps[-1].statement.lineno for item in later):
        gone = remove(read, update.statement)
        return (gone,) if gone is not None else None, f"removes `{code}` between two steps"
    if steps:
        return move_after(read.text, update.statement, steps[-1].statement), f"moves `{code}` behind the last step"
    loop = read.parents.get(update.statement)
    if not isinstance(loop, ast.For) or "\n" in code:
        return None, ""
    names = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
    if not any(item.method == "step" and item.argument in names and item.statement in block for item in calls):
        return None, ""
    gone, new = remove(read, update.statement), after(read.text, loop, code)
    return (gone, new) if gone is not None and new is not None else None, f"moves `{code}` behind the loop"


FIX = Fix(
    rule="AMP110",
    safety="safe",
    summary="Keeps one `scaler.update()`, behind the last step of the iteration.",
    repair=_repair,
    declines="the steps stand in different blocks, or the loop is not one over optimizers",
)
