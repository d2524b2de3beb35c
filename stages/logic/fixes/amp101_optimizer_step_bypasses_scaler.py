"""Steps the optimizer through the scaler, and updates the scaler where nothing does."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import dotted, method_call, reading, receiver
from stages._source.rewriting.statements import after
from stages.logic.scaler_calls import one_scaler, scaler_calls
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None or method_call(call, "step") is None or call.args or call.keywords:
        return None
    optimizer, scaler = dotted(receiver(call)), one_scaler(read, read.function(call))
    if not optimizer or not scaler:
        return None
    edits = [Edit(*read.text.span(call), f"{scaler}.step({optimizer})")]
    if not any(item.method == "update" for item in scaler_calls(read, read.function(call), "update")):
        update = after(read.text, read.statement(call), f"{scaler}.update()")
        if update is None:
            return None
        edits.append(update)
    return Repair(edits={read.path: tuple(edits)}, what=f"writes `{scaler}.step({optimizer})`")


FIX = Fix(
    rule="AMP101",
    safety="unsafe",
    summary="Writes `scaler.step(optimizer)`, and `scaler.update()` behind it where the function has none.",
    repair=_repair,
    declines="the function names no scaler, or several, or the step takes arguments",
)
