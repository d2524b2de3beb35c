"""Decides what runs after what, by the blocks that statements stand in."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

_BLOCKS = ("body", "orelse", "finalbody", "handlers")
Loop = ast.For | ast.AsyncFor | ast.While


def around(view: View, node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a node stands in, the nearest first."""
    parent = view.parent(node)
    while parent is not None:
        yield parent
        parent = view.parent(parent)


def statement(view: View, node: ast.AST) -> ast.stmt | None:
    """Return the statement that a node is, or stands in."""
    while not isinstance(node, ast.stmt):
        parent = view.parent(node)
        if parent is None:
            return None
        node = parent
    return node


def function_around(view: View, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    return next((item for item in around(view, node) if isinstance(item, Function)), None)


def loops_around(view: View, node: ast.AST) -> list[Loop]:
    """Return the loops of the same function that a node runs in, the nearest first."""
    found: list[Loop] = []
    inner = node
    for outer in around(view, node):
        if isinstance(outer, Function | ast.Lambda):
            break
        if isinstance(outer, Loop) and inner in [*outer.body, *([outer.test] if isinstance(outer, ast.While) else [])]:
            found.append(outer)
        inner = outer
    return found


def always_after(view: View, first: ast.AST, later: ast.AST) -> bool:
    """Say whether a node only runs once an earlier one of the same function has: no branch lies between them.

    The earlier one may stand in a `with`; not in a branch, a loop or a `try` that the later one does not stand in.
    """
    before = statement(view, first)
    while before is not None:
        block, position = _block(view, before)
        inside = _within(view, later, block)
        if inside is not None:
            return inside > position
        outer = view.parent(before)
        before = outer if isinstance(outer, ast.With | ast.AsyncWith) else None
    return False


def _block(view: View, node: ast.stmt) -> tuple[list[ast.stmt], int]:
    parent = view.parent(node) or view.module.tree
    for name in _BLOCKS:
        block = getattr(parent, name, None)
        if isinstance(block, list) and any(item is node for item in block):
            return block, next(place for place, item in enumerate(block) if item is node)
    return [node], 0


def _within(view: View, node: ast.AST, block: list[ast.stmt]) -> int | None:
    """Return which statement of a block a node stands in, not looking into functions defined there."""
    here: ast.AST | None = node
    while here is not None:
        for place, item in enumerate(block):
            if item is here:
                return None if isinstance(item, Function | ast.ClassDef) and here is not node else place
        here = view.parent(here)
        if isinstance(here, Function | ast.Lambda | ast.ClassDef):
            return None
    return None
