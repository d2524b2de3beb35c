"""Decides what an expression adds to `__all__`: names written out, and lists of other modules."""

from __future__ import annotations

import ast

from stages.syntax.imports.expressions import chain_of
from stages.syntax.imports.program import ListOf

Parts = tuple[str | ListOf, ...]


def listed(value: ast.expr) -> Parts | None:
    """Return the parts of a list of names; None where it is computed in a way that is not followed."""
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return _joined([_item(item) for item in value.elts])
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _joined([listed(value.left), listed(value.right)])
    if isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
        return listed(value.args[0]) if chain_of(value.func) in {("list",), ("tuple",), ("sorted",), ("set",)} else None
    chain = chain_of(value)
    return (ListOf(chain),) if chain[-1:] == ("__all__",) else None


def _item(node: ast.expr) -> Parts | None:
    if isinstance(node, ast.Starred):
        return listed(node.value)
    return (node.value,) if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _joined(parts: list[Parts | None]) -> Parts | None:
    whole: Parts = ()
    for part in parts:
        if part is None:
            return None
        whole += part
    return whole
