"""Expressions as text: parenthesised where the place they go to needs it, and the name that a module has in a file."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading

_PRIMARY = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)


def as_primary(read: Reading, node: ast.expr) -> str:
    """Return the text of an expression so that `.method()` may follow it."""
    text = read.code(node)
    return text if isinstance(node, _PRIMARY) else f"({text})"


def as_operand(read: Reading, node: ast.expr) -> str:
    """Return the text of an expression so that an operator may stand on either side of it."""
    text = read.code(node)
    return text if isinstance(node, (*_PRIMARY, ast.Constant)) else f"({text})"


def has_module(read: Reading, name: str) -> bool:
    """Say whether the file imports a module at module level under its own name, and binds the name to nothing else."""
    imported = any(
        isinstance(node, ast.Import) and any(item.name == name and item.asname is None for item in node.names)
        for node in read.tree.body
    )
    stored = (node.id for node in read.nodes(read.tree, ast.Name) if isinstance(node.ctx, ast.Store))
    rebound = name in stored
    return imported and not rebound and not any(node.arg == name for node in read.nodes(read.tree, ast.arg))
