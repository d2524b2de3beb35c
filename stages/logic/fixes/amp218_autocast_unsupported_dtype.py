"""Gives autocast a dtype that it takes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.expressions import has_module
from stages._source.rewriting.reading import reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_NAMES = frozenset(["float16", "bfloat16", "half"])


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    if read is None or not has_module(read, "torch"):
        return None
    given = [node for node in read.nodes(read.tree, ast.keyword) if node.arg == "dtype"]
    places = {id(node) for kind in (ast.Constant, ast.Attribute) for node in read.at(finding.location, kind)}
    keyword = next((item for item in given if id(item.value) in places), None)
    call = read.parents.get(keyword) if keyword is not None else None
    if keyword is None or not isinstance(call, ast.Call):
        return None
    match keyword.value:
        case ast.Constant(value=str() as name) if name.removeprefix("torch.") in _NAMES:
            code = f"torch.{name.removeprefix('torch.')}"
            return Repair(edits={read.path: (Edit(*read.text.span(keyword.value), code),)}, what=f"writes `{code}`")
        case ast.Attribute(attr="float32" | "float"):
            if any(item.arg == "enabled" for item in call.keywords) or len(call.args) > 2:
                return None
            edit = Edit(*read.text.span(keyword), "enabled=False")
            return Repair(edits={read.path: (edit,)}, what="writes `enabled=False`, which is what float32 comes to")
    return None


FIX = Fix(
    rule="AMP218",
    safety="unsafe",
    summary="Writes a dtype for its name, and `enabled=False` for float32, which torch turns off with a warning.",
    repair=_repair,
    declines="the dtype is of another kind, or stands by position",
)
