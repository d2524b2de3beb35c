"""Fills masks with the lowest number of the dtype that the scores have."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.expressions import has_module
from stages._source.rewriting.reading import is_plain, reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext

_FILLS = {"masked_fill": 1, "masked_fill_": 1, "fill_": 0}


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    if read is None or not has_module(read, "torch"):
        return None
    for value in read.at(finding.location, ast.expr):
        tensor = _filled(read, value)
        if tensor is not None and is_plain(tensor) and _is_negative(finding.message):
            text = f"torch.finfo({read.code(tensor)}.dtype).min"
            return Repair(edits={read.path: (Edit(*read.text.span(value), text),)}, what=f"fills with `{text}`")
    return None


def _filled(read: Reading, value: ast.expr) -> ast.expr | None:
    """Return the tensor in which a masked place gets the value: a method fills it, or it is assigned by index."""
    outer = read.parents.get(value)
    match outer:
        case ast.Call(func=ast.Attribute(attr=method, value=tensor), args=args) if method in _FILLS:
            place = _FILLS[method]
            return tensor if len(args) > place and args[place] is value else None
        case ast.Assign(targets=[ast.Subscript(value=tensor)], value=given):
            return tensor if given is value else None
        case ast.keyword(arg="value"):
            call = read.parents.get(outer)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _FILLS:
                return call.func.value
    return None


def _is_negative(message: str) -> bool:
    """Say whether the number is one below all scores; a name says nothing but its use for a mask."""
    text = message.split("`")[1] if "`" in message else ""
    return text.startswith(("-", "float('-", 'float("-')) or text.endswith(".min") or text.replace("_", "").isupper()


FIX = Fix(
    rule="AMP301",
    safety="safe",
    summary="Writes `torch.finfo(scores.dtype).min` for the number that float16 cannot hold.",
    repair=_repair,
    declines=(
        "the number is added or multiplied, or a default of a parameter, or the tensor is not named: its sum with other"
        " scores could pass the range all the same"
    ),
)
