"""Says why a value is known to be low: the places a reader has to look at."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.engine.place import Place

if TYPE_CHECKING:
    from stages.logic.dtypes.known import Unit

_NAMES = {"low": "low precision"}


def here(unit: Unit) -> str:
    """Return where a value is low: here, or only where somebody runs this function in low precision."""
    return "where a caller runs this in half precision" if unit.suspected else "here"


def because(unit: Unit, node: ast.AST) -> tuple[tuple[Place, str], ...]:
    """Return where a value became low, where that is in the same file and another line."""
    known = unit.at(node)
    since = known.since
    if since is None or getattr(since, "lineno", 0) == getattr(node, "lineno", 0):
        return ()
    if not _is_in(unit, since):
        return ()
    dtype = _NAMES.get(known.dtype, known.dtype)
    how = "autocast computes this in" if known.marked_at("matmul") or isinstance(since, ast.BinOp) else "becomes"
    return ((Place(unit.module, since), f"{how} {dtype}"),)


def _is_in(unit: Unit, node: ast.AST) -> bool:
    return node in unit.known
