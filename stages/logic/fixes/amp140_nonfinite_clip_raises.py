"""Lets the scaler see to gradients that are not finite."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.arguments import take_out
from stages._source.rewriting.reading import reading
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    keyword = next((item for item in call.keywords if item.arg == "error_if_nonfinite"), None) if call else None
    if read is None or call is None or keyword is None:
        return None
    return Repair(edits={read.path: (take_out(read.text, call, keyword),)}, what=f"leaves out `{read.code(keyword)}`")


FIX = Fix(
    rule="AMP140",
    safety="unsafe",
    summary="Leaves out `error_if_nonfinite=True`: the scaler skips such a step and lowers its scale.",
    repair=_repair,
    declines="the argument stands by position",
)
