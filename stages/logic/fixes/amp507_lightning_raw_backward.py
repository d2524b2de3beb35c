"""Has Lightning compute the gradients."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import method_call, reading, receiver
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    found = read.at(finding.location, ast.Call) if read is not None else []
    call = next((item for item in found if method_call(item, "backward")), None)
    function = read.function(call) if read is not None and call is not None else None
    if read is None or call is None or function is None or isinstance(function, ast.Module):
        return None
    given = [*function.args.posonlyargs, *function.args.args]
    if not given or not isinstance(read.parents.get(function), ast.ClassDef) or call.args:
        return None
    loss, owner = read.code(receiver(call)), given[0].arg
    start, end = read.text.span(call)
    code = f"{owner}.manual_backward({loss})"
    if call.keywords:
        end, code = min(read.text.span(item)[0] for item in call.keywords), f"{owner}.manual_backward({loss}, "
    return Repair(edits={read.path: (Edit(start, end, code),)}, what=f"writes `{owner}.manual_backward({loss})`")


FIX = Fix(
    rule="AMP507",
    safety="safe",
    summary="Writes `self.manual_backward(loss)`.",
    repair=_repair,
    declines="the call stands in no method of the module",
)
