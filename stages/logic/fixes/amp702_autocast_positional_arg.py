"""Passes the arguments of an autocast context by the keyword that each is meant for."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.arguments import put_first
from stages._source.rewriting.reading import reading
from stages.logic.constructors import autocasts
from stages.logic.mending import scope_of, view_of
from stages.logic.positional import keywords_for
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_MEANT = {"flag": "enabled", "dtype": "dtype", "text": "device_type"}


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    if view is None or read is None:
        return None
    for call in read.at(finding.location, ast.Call):
        scope = scope_of(view, call)
        signatures = autocasts(view.origins(call.func, scope))
        if len(signatures) != 1:
            continue
        named = keywords_for(view, call, signatures[0], _MEANT)
        if named is None:
            return None
        has_device = signatures[0].device or "device_type" in named.values()
        first = () if has_device else (put_first(read.text, call, '"cuda"'),)
        keep = "device_type" if not signatures[0].device else ""
        edits = [*first, *named.edits(read.text, keep=keep)]
        what = f"passes {named.shown(keep=keep)} by keyword"
        return Repair(edits={path: tuple(edits)}, what=what, safety="safe" if has_device else "unsafe")
    return None


FIX = Fix(
    rule="AMP702",
    safety="safe",
    summary="Passes each argument by the keyword that it is meant for.",
    repair=_repair,
    declines="it cannot be told what an argument is meant for; unsafe where a missing device has to be guessed",
)
