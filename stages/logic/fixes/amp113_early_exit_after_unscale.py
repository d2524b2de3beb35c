"""Updates the scaler before each exit between `unscale_` and the step."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import before
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Edit, Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None:
        return None
    calls = scaler_calls(read, read.function(call), "step", "unscale_")
    unscale = next((item for item in calls if item.call is call), None)
    if unscale is None or unscale.method != "unscale_":
        return None
    block = read.block(unscale.statement)
    steps = [item for item in calls if item.method == "step" and item.statement in block]
    last = steps[-1].statement.lineno if steps else 0
    edits: list[Edit] = []
    for node in block[block.index(unscale.statement) + 1 :]:
        if node.lineno >= last or not isinstance(node, ast.If) or node.orelse:
            continue
        if isinstance(node.body[-1], ast.Continue | ast.Return):
            edit = before(read.text, node.body[-1], f"{unscale.scaler}.update()")
            edits += [edit] if edit is not None else []
    what = f"calls `{unscale.scaler}.update()` before leaving"
    return Repair(edits={read.path: tuple(edits)}, what=what) if edits else None


FIX = Fix(
    rule="AMP113",
    safety="unsafe",
    summary="Calls `scaler.update()` before a `continue` or `return` that skips the step; the scale may then fall.",
    repair=_repair,
    declines="a test guards the step instead of leaving before it",
)
