"""Keeps the loss as it is, and scales it only for the backward pass."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import method_call, reading, receiver
from stages._source.rewriting.statements import remove
from stages.logic.scaler_calls import scaler_calls
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages.logic.scaler_calls import ScalerCall
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    found = read.at(finding.location, ast.Call) if read is not None else []
    if read is None or not found:
        return None
    function = read.function(found[0])
    scales = [item for item in scaler_calls(read, function, "scale") if _rebinds(item)]
    if len(scales) != 1:
        return None
    name = scales[0].argument
    block = read.block(scales[0].statement)
    after = block[block.index(scales[0].statement) + 1 :]
    made = [call for node in after if (call := method_call(node, "backward"))]
    backwards = [read.statement(call) for call in made if read.code(receiver(call)) == name]
    gone = remove(read, scales[0].statement)
    if len(backwards) != 1 or gone is None or _read_between(after, backwards[0], name):
        return None
    call = method_call(backwards[0], "backward")
    assert call is not None
    edits = (gone, Edit(*read.text.span(receiver(call)), f"{scales[0].scaler}.scale({name})"))
    return Repair(edits={read.path: edits}, what=f"scales `{name}` only for `backward()`")


def _rebinds(item: ScalerCall) -> bool:
    """Say whether the statement is `loss = scaler.scale(loss)`."""
    match item.statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return value is item.call and item.argument == name
    return False


def _read_between(after: list[ast.stmt], backward: ast.stmt, name: str) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == name
        for statement in after[: after.index(backward)]
        for node in ast.walk(statement)
    )


FIX = Fix(
    rule="AMP124",
    safety="safe",
    summary="Writes `scaler.scale(loss).backward()` in place of `loss = scaler.scale(loss)`, so that `loss` stays raw.",
    repair=_repair,
    declines="the scaled loss has a name of its own, or is read before its only `backward()`",
)
