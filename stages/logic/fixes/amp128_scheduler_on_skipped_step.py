"""Steps the schedule only where the scaler did not skip the optimizer."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages._source.rewriting.statements import before, indent, lines_of
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_NAME = "scale_before"


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None or _NAME in read.bound():
        return None
    inner = read.statement(call)
    function = read.function(call)
    calls = scaler_calls(read, function, "step", "update")
    around = [inner, *(node for node in read.around(inner) if isinstance(node, ast.If))]
    for statement in around:
        block = read.block(statement)
        above = [item for item in calls if item.statement in block and item.statement.lineno < statement.lineno]
        steps, updates = ([item for item in above if item.method == name] for name in ("step", "update"))
        if len(steps) != 1 or not updates or updates[-1].statement.lineno < steps[0].statement.lineno:
            continue
        scaler = steps[0].scaler
        span, moved = lines_of(read.text, inner), indent(read.text, [inner])
        first = before(read.text, steps[0].statement, f"{_NAME} = {scaler}.get_scale()")
        if span is None or moved is None or first is None or not isinstance(inner, ast.Expr):
            return None
        test = f"{read.text.indent(inner.lineno)}if {scaler}.get_scale() >= {_NAME}:\n"
        edits = (first, Edit(span[0], span[0], test), *moved)
        return Repair(edits={read.path: edits}, what=f"calls `{read.code(call)}` unless the step was skipped")
    return None


FIX = Fix(
    rule="AMP128",
    safety="unsafe",
    summary=(
        "Compares the scale before the step and after the update: it falls where the step was skipped. Unsafe, as"
        " reading it waits for the device in every step."
    ),
    repair=_repair,
    declines="step, update and schedule do not stand in one block, or several optimizers are stepped",
)
