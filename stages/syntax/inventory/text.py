"""Decides how an expression is written in a fact: as its author would, on one line, never failing."""

from __future__ import annotations

import ast

_LONGEST = 400


def text_of(node: ast.AST | None) -> str:
    """Return source text for a node, shortened, or an ellipsis for one too deep to print."""
    if node is None:
        return ""
    try:
        text = " ".join(ast.unparse(node).split())
    except (RecursionError, ValueError):
        return "..."
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def literal(node: ast.AST | None) -> object:
    """Return the value of a literal, or the node itself where it is none."""
    try:
        return ast.literal_eval(node) if isinstance(node, ast.expr) else node
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return node
