"""Turns the cache of an autocast context off in which something is traced."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.arguments import put_last
from stages._source.rewriting.reading import reading
from stages.logic.constructors import autocasts
from stages.logic.mending import scope_of, view_of
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if view is None or read is None or call is None:
        return None
    for outer in read.around(call):
        for item in outer.items if isinstance(outer, ast.With) else ():
            made = item.context_expr
            if not isinstance(made, ast.Call) or not autocasts(view.origins(made.func, scope_of(view, made))):
                continue
            if any(keyword.arg in (None, "cache_enabled") for keyword in made.keywords):
                return None
            edit = put_last(read.text, made, "cache_enabled=False")
            return Repair(edits={path: (edit,)}, what="passes `cache_enabled=False`")
    return None


FIX = Fix(
    rule="AMP602",
    safety="safe",
    summary="Passes `cache_enabled=False` to the context around the trace.",
    repair=_repair,
    declines="the context is made elsewhere",
)
