"""Finds scalers that are made for every precision but float32, and so for bfloat16 too."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from stages.logic.view import View

_ASKED = late(r"dtype|precision", re.I)
_FULL = late(r"['\"](?:float32|fp32|32|32-true)['\"]|torch\.float(?:32)?")
_BRAIN = late(r"bf16|bfloat16", re.I)


def only_float32_excluded(view: View, call: ast.Call) -> ast.expr | None:
    """Return the test that keeps a scaler from float32 alone; None where bfloat16 is spoken of, or nothing is asked."""
    inner: ast.AST = call
    around = view.parent(call)
    found: ast.expr | None = None
    while around is not None and not isinstance(inner, Function):
        match around:
            case ast.IfExp(test=test) | ast.If(test=test) if inner is not test:
                positive = inner is around.body if isinstance(around, ast.IfExp) else inner in around.body
                found = found or _against_full(test, ast.NotEq if positive else ast.Eq)
        body = getattr(around, "body", None)
        if isinstance(body, list) and inner in body:
            for before in body[: body.index(inner)]:
                if isinstance(before, ast.If) and isinstance(before.body[-1], ast.Return):
                    found = found or _against_full(before.test, ast.Eq)
        inner, around = around, view.parent(around)
    if found is None or _BRAIN.search(ast.unparse(inner)):
        return None
    return found


def _against_full(test: ast.expr, operator: type[ast.cmpop]) -> ast.expr | None:
    match test:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, operator):
            if _ASKED.search(ast.unparse(left)) and _FULL.fullmatch(ast.unparse(right)):
                return test
    return None
