"""Casts what leaves torch to a type that others have."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import method_call, reading, receiver
from stages.logic.widening import widened
from verifier.api import Fix

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext, Repair


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    found = read.at(finding.location, ast.Call) if read is not None else []
    call = next((item for item in found if method_call(item, "numpy")), None)
    return widened(read, receiver(call)) if read is not None and call is not None else None


FIX = Fix(
    rule="AMP215",
    safety="unsafe",
    summary="Casts before the tensor leaves: `x.float().numpy()`. Unsafe, as the array takes twice the memory.",
    repair=_repair,
    declines="it leaves by another method than `numpy()`",
)
