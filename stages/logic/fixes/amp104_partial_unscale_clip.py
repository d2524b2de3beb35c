"""Unscales the gradients of every optimizer that is stepped before they are clipped together."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import before
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    clip = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or clip is None:
        return None
    statement = read.statement(clip)
    calls = scaler_calls(read, read.function(clip), "step", "unscale_")
    block = read.block(statement)
    later = [item for item in calls if item.method == "step" and item.statement in block]
    done = {item.argument for item in calls if item.method == "unscale_" and item.statement.lineno < statement.lineno}
    missing = [item for item in later if item.argument not in done and item.statement.lineno > statement.lineno]
    if not done or not missing:
        return None
    lines = list(dict.fromkeys(f"{item.scaler}.unscale_({item.argument})" for item in missing))
    edit = before(read.text, statement, "\n".join(lines))
    what = f"inserts `{'`, `'.join(lines)}` before the clipping"
    return Repair(edits={read.path: (edit,)}, what=what) if edit is not None else None


FIX = Fix(
    rule="AMP104",
    safety="unsafe",
    summary="Inserts `scaler.unscale_(...)` for the other optimizers of the block. Unsafe, as one may not be meant.",
    repair=_repair,
    declines="the other optimizers are stepped elsewhere",
)
