"""Casts what is written by index to the dtype of the buffer."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.expressions import as_primary
from stages._source.rewriting.reading import is_plain, reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from verifier.api import Finding, FixContext

_SOURCES = {"index_add_": 2, "index_copy_": 2, "scatter_": 2, "scatter_add_": 2, "masked_scatter_": 1}


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    if read is None:
        return None
    buffer: ast.expr | None = None
    source: ast.expr | None = None
    for node in (*read.at(finding.location, ast.Assign), *read.at(finding.location, ast.Call)):
        match node:
            case ast.Assign(targets=[ast.Subscript(value=target)], value=value):
                buffer, source = target, value
            case ast.Call(func=ast.Attribute(attr=method, value=target), args=args) if method in _SOURCES:
                buffer, source = target, args[_SOURCES[method]] if len(args) > _SOURCES[method] else None
            case ast.Call(func=ast.Attribute(attr="where"), args=[_, first, second]):
                buffer, source = first, second
        if buffer is not None:
            break
    if buffer is None or source is None or not is_plain(buffer):
        return None
    cast = f"{as_primary(read, source)}.to({read.code(buffer)}.dtype)"
    return Repair(edits={read.path: (Edit(*read.text.span(source), cast),)}, what=f"writes `{cast}`")


FIX = Fix(
    rule="AMP220",
    safety="safe",
    summary="Casts what is written to the dtype of the buffer: `values.to(buffer.dtype)`.",
    repair=_repair,
    declines="the buffer is no plain name or attribute",
)
