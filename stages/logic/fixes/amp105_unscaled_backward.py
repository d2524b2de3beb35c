"""Starts the backward pass from the scaled loss."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import method_call, reading, receiver
from stages._source.rewriting.statements import remove
from stages.logic.scaler_calls import one_scaler, scaler_calls
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    found = read.at(finding.location, ast.Call) if read is not None else []
    call = next((item for item in found if method_call(item, "backward")), None)
    if read is None or call is None:
        return None
    loss = receiver(call)
    text = read.code(loss)
    function = read.function(call)
    dropped = [
        item
        for item in scaler_calls(read, function, "scale")
        if isinstance(item.statement, ast.Expr)
        and item.statement.value is item.call
        and item.argument == text
        and item.statement in read.block(read.statement(call))
    ]
    scaler = dropped[0].scaler if len(dropped) == 1 else "" if dropped else one_scaler(read, function)
    if not scaler:
        return None
    start, end = read.text.span(loss)
    edits = [Edit(start, end, f"{scaler}.scale({text})")]
    if dropped:
        gone = remove(read, dropped[0].statement)
        if gone is None:
            return None
        edits.append(gone)
    what = f"writes `{scaler}.scale({text}).backward()`"
    return Repair(edits={read.path: tuple(edits)}, what=what, safety="safe" if dropped else "unsafe")


FIX = Fix(
    rule="AMP105",
    safety="safe",
    summary=(
        "Uses the scaled loss that was thrown away: `scaler.scale(loss).backward()`. Unsafe where nothing scales the"
        " loss, which may be meant."
    ),
    repair=_repair,
    declines="`backward` is not a method of the loss, or the function names no scaler, or several",
)
