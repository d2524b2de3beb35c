"""Has accelerate compute the gradients."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import method_call, reading, receiver
from stages.logic.accelerators import accelerator_of
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    found = read.at(finding.location, ast.Call) if read is not None else []
    call = next((item for item in found if method_call(item, "backward")), None)
    accelerator = accelerator_of(read, call) if read is not None and call is not None else ""
    if read is None or call is None or not accelerator or call.args:
        return None
    loss = read.code(receiver(call))
    start, end = read.text.span(call)
    if call.keywords:
        end = min(read.text.span(item)[0] for item in call.keywords)
        code = f"{accelerator}.backward({loss}, "
    else:
        code = f"{accelerator}.backward({loss})"
    return Repair(edits={read.path: (Edit(start, end, code),)}, what=f"writes `{accelerator}.backward({loss})`")


FIX = Fix(
    rule="AMP504",
    safety="safe",
    summary="Writes `accelerator.backward(loss)`.",
    repair=_repair,
    declines="the function does not name the accelerator",
)
