"""Makes the scaler one that agrees over all ranks."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.arguments import take_out
from stages._source.rewriting.imports import add_at_top
from stages._source.rewriting.reading import reading
from stages.logic.constructors import scalers
from stages.logic.mending import scope_of, view_of
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_NAME, _MODULE = "ShardedGradScaler", "torch.distributed.fsdp.sharded_grad_scaler"
_KEYWORDS = frozenset(["init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled"])


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    if view is None or read is None:
        return None
    for call in read.at(finding.location, ast.Call):
        signatures = scalers(view.origins(call.func, scope_of(view, call)))
        if len(signatures) != 1 or any(item.arg not in {*_KEYWORDS, "device"} for item in call.keywords):
            continue
        edits = [Edit(*read.text.span(call.func), _NAME)]
        devices = [*call.args, *(item.value for item in call.keywords if item.arg == "device")]
        if len(devices) > 1 or any(not isinstance(item, ast.Constant) or item.value != "cuda" for item in devices):
            return None  # it takes the device since torch 2.3 only, and "cuda" is its default
        if devices:
            given: ast.expr | ast.keyword = next((i for i in call.keywords if i.arg == "device"), devices[0])
            edits.append(take_out(read.text, call, given))
        if _NAME not in read.bound():
            added = add_at_top(read, f"from {_MODULE} import {_NAME}", "torch")
            if added is None:
                return None
            edits.append(added)
        return Repair(edits={path: tuple(edits)}, what=f"makes it a {_NAME}")
    return None


FIX = Fix(
    rule="AMP501",
    safety="safe",
    summary="Makes the scaler a `ShardedGradScaler`, imported at module level.",
    repair=_repair,
    declines="the scaler is made for another device than CUDA, or with arguments by position",
)
