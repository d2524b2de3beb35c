"""Casts what enters a region without autocast."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages.logic.constructors import autocasts
from stages.logic.mending import scope_of, view_of
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    name = read.one_at(finding.location, ast.Name) if read is not None else None
    if view is None or read is None or name is None:
        return None
    for outer in read.around(name):
        made = [item.context_expr for item in outer.items] if isinstance(outer, ast.With) else []
        if not any(isinstance(m, ast.Call) and autocasts(view.origins(m.func, scope_of(view, m))) for m in made):
            continue
        assert isinstance(outer, ast.With)
        inside = [node for item in outer.body for node in read.nodes(item, ast.Name) if node.id == name.id]
        if any(not isinstance(node.ctx, ast.Load) for node in inside):
            return None
        edits = tuple(Edit(end, end, ".float()") for end in sorted(read.text.span(node)[1] for node in inside))
        return Repair(edits={path: edits}, what=f"casts `{name.id}` in the region without autocast")
    return None


FIX = Fix(
    rule="AMP213",
    safety="unsafe",
    summary="Casts the name wherever the region reads it: `h.float()`. Unsafe, as the region may be meant to be half.",
    repair=_repair,
    declines="the region binds the name anew, or it is no plain name",
)
