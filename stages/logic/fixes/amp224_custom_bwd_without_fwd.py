"""Decorates the forward of a function like its backward."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.rewriting.reading import Function, reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext


_PAIR = {"backward": ("custom_bwd", "custom_fwd"), "forward": ("custom_fwd", "custom_bwd")}


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    bare = _method(read, finding.location.line) if read is not None else None
    owner = read.parents.get(bare) if read is not None and bare is not None else None
    if read is None or bare is None or not isinstance(owner, ast.ClassDef):
        return None
    other = {"forward": "backward", "backward": "forward"}.get(bare.name)
    twin = next((node for node in owner.body if isinstance(node, Function) and node.name == other), None)
    if twin is None or other is None:
        return None
    has, needs = _PAIR[other]
    decorator = next((item for item in twin.decorator_list if _name(item) == has), None)
    if decorator is None or any(item.arg == "cast_inputs" for item in getattr(decorator, "keywords", ())):
        return None
    line = read.text.line_starts[bare.lineno - 1]
    code = read.code(decorator).replace(has, needs, 1)
    edits = [Edit(line, line, f"{read.text.indent(bare.lineno)}@{code}\n")]
    imported = _imported(read, decorator, has, needs)
    if imported is None:
        return None
    edits += imported
    return Repair(edits={read.path: tuple(edits)}, what=f"decorates `{bare.name}` with `{needs}`")


def _method(read: Reading, line: int) -> Function | None:
    return next((node for node in read.functions() if node.lineno == line), None)


def _name(node: ast.expr) -> str:
    return last_name(node.func if isinstance(node, ast.Call) else node)


def _imported(read: Reading, decorator: ast.expr, has: str, needs: str) -> tuple[Edit, ...] | None:
    """Return the edits that import the other decorator beside the first; None where they cannot be made."""
    func = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(func, ast.Attribute) or needs in read.bound():
        return ()
    for node in read.imports():
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if alias.name == has and alias.asname is None:
                end = read.text.span(alias)[1]
                return (Edit(end, end, f", {needs}"),)
    return None


FIX = Fix(
    rule="AMP224",
    safety="safe",
    summary="Puts the missing one of `custom_fwd` and `custom_bwd` on the other method, with the same device.",
    repair=_repair,
    declines="the decorator has another name in the file, or its arguments concern only one of the two",
)
