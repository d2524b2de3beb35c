"""Calls autocast where only its name stands."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.reading import reading
from stages.logic.constructors import autocasts
from stages.logic.mending import scope_of, view_of
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from stages.logic.view import View
    from verifier.api import Finding, FixContext, Safety


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path = finding.location.path
    view, read = view_of(context, path), reading(context, path)
    if view is None or read is None:
        return None
    for node in (*read.at(finding.location, ast.Attribute), *read.at(finding.location, ast.Name)):
        signatures = autocasts(view.origins(node, scope_of(view, node)))
        if len(signatures) != 1:
            continue
        given = "()" if signatures[0].device else f"({_device(view, read)})"
        end = read.text.span(node)[1]
        safety: Safety = "safe" if signatures[0].device or _devices(view, read) else "unsafe"
        return Repair(edits={path: (Edit(end, end, given),)}, what=f"writes `{read.code(node)}{given}`", safety=safety)
    return None


def _devices(view: View, read: Reading) -> set[str]:
    """Return the devices that other autocast contexts of the file name, as they are written."""
    found: set[str] = set()
    for call in read.nodes(read.tree, ast.Call):
        for signature in autocasts(view.origins(call.func, scope_of(view, call))):
            if signature.device:
                found.add(f'"{signature.device}"')
            elif call.args and isinstance(call.args[0], ast.Constant):
                found.add(read.code(call.args[0]))
    return found if len(found) == 1 else set()


def _device(view: View, read: Reading) -> str:
    return next(iter(_devices(view, read)), '"cuda"')


FIX = Fix(
    rule="AMP211",
    safety="safe",
    summary="Adds the call, with the device that the file's other autocast contexts have; unsafe where it is a guess.",
    repair=_repair,
)
