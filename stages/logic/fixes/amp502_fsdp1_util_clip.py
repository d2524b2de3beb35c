"""Clips by the norm over all ranks."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import is_plain, method_call, reading, receiver
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_KEYWORDS = frozenset(["max_norm", "norm_type"])


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None or len(call.args) not in (1, 2, 3):
        return None
    given = method_call(call.args[0], "parameters")
    if given is None or given.args or not is_plain(receiver(given)):
        return None
    if any(item.arg not in _KEYWORDS for item in call.keywords):
        return None
    rest: list[ast.expr | ast.keyword] = [*call.args[1:], *call.keywords]
    if not rest:
        return None
    start, end = read.text.span(call)[0], min(read.text.span(item)[0] for item in rest)
    model = read.code(receiver(given))
    edit = Edit(start, end, f"{model}.clip_grad_norm_(")
    return Repair(edits={read.path: (edit,)}, what=f"writes `{model}.clip_grad_norm_(...)`")


FIX = Fix(
    rule="AMP502",
    safety="safe",
    summary="Calls the model's own `clip_grad_norm_`.",
    repair=_repair,
    declines="what is clipped is not `model.parameters()`, or arguments are passed that the method does not take",
)
