"""Decides which names may hold a number or None, by their annotations."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late
from stages._source.program.kinds import last_name

if TYPE_CHECKING:
    from collections.abc import Iterator

Number = Literal["int", "float"]
_TEXT = late(r"(?:typing\.)?Optional\[(int|float)\]|(int|float) *\| *None|None *\| *(int|float)")


def optional_number(annotation: ast.expr | None) -> Number | None:
    """Return which number an annotation admits besides None, and nothing else; a float where it admits both."""
    if annotation is None:
        return None
    names = list(_parts(annotation))
    if "None" not in names or not {"int", "float"}.issuperset(names := [name for name in names if name != "None"]):
        return None
    return None if not names else "float" if "float" in names else "int"


def _parts(annotation: ast.expr) -> Iterator[str]:
    match annotation:
        case ast.Constant(value=None):
            yield "None"
        case ast.Constant(value=str(text)) if found := _TEXT.fullmatch(text.strip()):
            yield "None"
            yield next(name for name in found.groups() if name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _parts(left)
            yield from _parts(right)
        case ast.Subscript(value=value, slice=inner) if last_name(value) == "Optional":
            yield "None"
            yield from _parts(inner)
        case ast.Subscript(value=value, slice=ast.Tuple(elts=parts)) if last_name(value) == "Union":
            for part in parts:
                yield from _parts(part)
        case ast.Name() | ast.Attribute():
            yield last_name(annotation)
        case _:
            yield "?"
