"""Makes a scaler for the device that the loss is computed on."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.rewriting.arguments import put_first
from stages._source.rewriting.reading import reading
from stages.logic.constructors import bind, scalers
from stages.logic.mending import scope_of, view_of
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_DEVICE = late(r"autocast for (\w+)$")


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    named = _DEVICE.search(finding.message)
    if view is None or read is None or named is None:
        return None
    for call in read.at(finding.location, ast.Call):
        signatures = scalers(view.origins(call.func, scope_of(view, call)))
        if len(signatures) != 1 or signatures[0].parameters[0] != "device":
            continue
        device, bound = f'"{named[1]}"', bind(call, signatures[0])
        given = bound.by_name.get("device")
        if not bound.whole or (given is not None and not isinstance(given, ast.Constant)):
            return None
        edit = put_first(read.text, call, device) if given is None else Edit(*read.text.span(given), device)
        return Repair(edits={path: (edit,)}, what=f"makes the scaler for {device}")
    return None


FIX = Fix(
    rule="AMP139",
    safety="safe",
    summary="Passes the device of the autocast context to the scaler.",
    repair=_repair,
    declines="the scaler is one of torch.cuda.amp, whose name fixes the device, or its device is no literal",
)
