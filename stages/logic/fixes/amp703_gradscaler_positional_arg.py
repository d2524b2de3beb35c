"""Passes the arguments of a GradScaler by the keyword that each is meant for."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.arguments import take_out
from stages._source.rewriting.reading import reading
from stages.logic.constructors import Signature, plainly, scalers
from stages.logic.mending import scope_of, view_of
from stages.logic.positional import keywords_for
from verifier.api import Fix, Repair

if TYPE_CHECKING:
    from stages.logic.view import View
    from verifier.api import Finding, FixContext

_MEANT = {"flag": "enabled", "text": "device"}


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    if view is None or read is None:
        return None
    for call in read.at(finding.location, ast.Call):
        signatures = scalers(view.origins(call.func, scope_of(view, call)))
        if len(signatures) != 1:
            continue
        signature = _as_meant(view, call, signatures[0])
        if _repeats_device(call, signature):
            edit = take_out(read.text, call, call.args[0])
            return Repair(edits={path: (edit,)}, what=f"leaves out the device, which {signature.name} has in its name")
        named = keywords_for(view, call, signature, _MEANT)
        if named is None:
            return None
        keep = "device" if not signature.device else ""
        edits = tuple(named.edits(read.text, keep=keep))
        return Repair(edits={path: edits}, what=f"passes {named.shown(keep=keep)} by keyword")
    return None


def _as_meant(view: View, call: ast.Call, signature: Signature) -> Signature:
    """Return the signature that the arguments were written for: a scale in front is that of an older torch."""
    first = plainly(view, call.args[0], scope_of(view, call)) if call.args else None
    if signature.parameters[0] == "device" and first == "number":
        return Signature(signature.name, signature.parameters[1:], signature.device)
    return signature


def _repeats_device(call: ast.Call, signature: Signature) -> bool:
    return (
        bool(signature.device)
        and len(call.args) == 1
        and isinstance(call.args[0], ast.Constant)
        and call.args[0].value == signature.device
    )


FIX = Fix(
    rule="AMP703",
    safety="safe",
    summary="Passes each argument by the keyword that it is meant for; a device that the name has already is left out.",
    repair=_repair,
    declines="it cannot be told what an argument is meant for",
)
