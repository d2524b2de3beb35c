"""Adds up in full precision."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.expressions import as_primary
from stages._source.rewriting.reading import reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    if read is None:
        return None
    for statement in read.at(finding.location, ast.AugAssign):
        code = f"{as_primary(read, statement.value)}.detach().float()"
        edit = Edit(*read.text.span(statement.value), code)
        return Repair(edits={read.path: (edit,)}, what=f"adds `{code}`")
    for assigned in read.at(finding.location, ast.Assign):
        match assigned.value:
            case ast.BinOp(left=ast.Name() as left, op=ast.Add(), right=right) if read.code(left) == read.code(
                assigned.targets[0]
            ):
                code = f"{as_primary(read, right)}.detach().float()"
                return Repair(edits={read.path: (Edit(*read.text.span(right), code),)}, what=f"adds `{code}`")
    return None


FIX = Fix(
    rule="AMP309",
    safety="unsafe",
    summary="Adds `loss.detach().float()`. Unsafe, as the sum may be meant to be differentiated.",
    repair=_repair,
    declines="the sum is written in another way than `total += loss` or `total = total + loss`",
)
