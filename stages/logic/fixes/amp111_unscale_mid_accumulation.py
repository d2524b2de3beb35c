"""Unscales and clips only where the step is made."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import move_into
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_MOVED = frozenset(["unscale_", "clip_grad_norm_", "clip_grad_value_", "parameters"])


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None:
        return None
    block = read.block(read.statement(call))
    first = block.index(read.statement(call))
    test = next((node for node in block[first:] if isinstance(node, ast.If)), None)
    steps = [item.statement for item in scaler_calls(read, read.function(call), "step")]
    if test is None or not any(step in test.body for step in steps):
        return None
    moved = block[first : block.index(test)]
    calls = [node for item in moved for node in ast.walk(item) if isinstance(node, ast.Call)]
    if not all(isinstance(item, ast.Expr | ast.Assign) for item in moved):
        return None
    edits = move_into(read.text, moved, test.body[0]) if all(last_name(node.func) in _MOVED for node in calls) else None
    return Repair(edits={read.path: edits}, what="unscales only where the step is made") if edits else None


FIX = Fix(
    rule="AMP111",
    safety="unsafe",
    summary="Moves `unscale_` and the clipping behind it under the test that guards the step.",
    repair=_repair,
    declines="other code stands between them and the test, or a test guards the clipping itself",
)
