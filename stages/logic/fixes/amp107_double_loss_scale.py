"""Scales the loss once."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import method_call, reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    if read is None:
        return None
    inside = (below for call in read.at(finding.location, ast.Call) for below in read.nodes(call, ast.Call))
    scale = next((call for call in inside if method_call(call, "scale") and len(call.args) == 1), None)
    if scale is None:
        return None
    loss = read.code(scale.args[0])
    return Repair(edits={read.path: (Edit(*read.text.span(scale), loss),)}, what=f"passes `{loss}` as it is")


FIX = Fix(
    rule="AMP107",
    safety="unsafe",
    summary="Takes out the second `scaler.scale(...)`.",
    repair=_repair,
    declines="the second scaling is not written at the place of the finding",
)
