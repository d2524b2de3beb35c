"""Updates the scaler after the last step."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import after
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from stages.logic.scaler_calls import ScalerCall
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None:
        return None
    steps = scaler_calls(read, read.function(call), "step")
    first = next((item for item in steps if item.call is call), None)
    if first is None:
        return None
    block = read.block(first.statement)
    last = [item for item in steps if item.scaler == first.scaler and item.statement in block][-1]
    target = _loop_over_optimizers(read, last) or last.statement
    edit = after(read.text, target, f"{first.scaler}.update()")
    return Repair(edits={read.path: (edit,)}, what=f"adds `{first.scaler}.update()`") if edit is not None else None


def _loop_over_optimizers(read: Reading, step: ScalerCall) -> ast.stmt | None:
    """Return the loop whose turns step one optimizer each: they share the update behind it."""
    for outer in read.around(step.statement):
        if isinstance(outer, ast.For):
            names = {node.id for node in ast.walk(outer.target) if isinstance(node, ast.Name)}
            return outer if step.argument in names else None
        if not isinstance(outer, ast.If):
            return None
    return None


FIX = Fix(
    rule="AMP108",
    safety="safe",
    summary="Adds `scaler.update()` behind the last `scaler.step(...)` of the block.",
    repair=_repair,
    declines="the step shares its line with other code",
)
