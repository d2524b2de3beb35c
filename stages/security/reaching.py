"""Decides which bindings of a name can still hold where it is read: what was bound anew on every way there cannot."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import SCOPED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stages._source.program.scopes import Binding

    Parents = Mapping[ast.AST, ast.AST]

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_BLOCKS = ("body", "orelse", "finalbody")


def reaching(name: ast.Name, bindings: list[Binding], tree: ast.Module, parents: Parents) -> list[Binding]:
    """Return the bindings that may hold at a name, in their order: all of them where nothing is certain.

    Args:
        bindings: every binding of the name in the scope that it belongs to.
        tree: the file.
        parents: of every node of the file but the statements of the module itself.
    """
    certain = _last_certain(name, bindings, tree, parents) if len(bindings) > 1 else None
    if certain is None:
        return bindings
    function, begun = _function(name, parents), _place(certain)
    loops = {around for around in _around(name, parents) if isinstance(around, _LOOPS)}
    inside = loops.difference(_around(certain.node, parents))  # what these bind comes round without passing `certain`

    def holds(binding: Binding) -> bool:
        if binding.how == "parameter":
            return False
        if binding.how in ("function", "class", "import") or _function(binding.node, parents) is not function:
            return True
        between = begun <= _place(binding) <= (name.lineno, name.col_offset)
        return between or not inside.isdisjoint(_around(binding.node, parents))

    return [binding for binding in bindings if holds(binding)]


def _last_certain(name: ast.Name, bindings: list[Binding], tree: ast.Module, parents: Parents) -> Binding | None:
    """Return the last binding that every way to the name passes."""
    by_node = {binding.node: binding for binding in bindings if binding.how in ("value", "context", "element")}
    for target in _passed(name, tree, parents):
        if target in by_node:
            return by_node[target]
    return None


def _passed(name: ast.Name, tree: ast.Module, parents: Parents) -> Iterator[ast.AST]:
    """Yield what is bound on every way to a name within its function, the latest first."""
    node: ast.AST | None = name
    while node is not None and not isinstance(node, SCOPED):
        parent = parents.get(node, None if node is tree else tree)
        if isinstance(node, ast.stmt):
            for statement in reversed(_siblings_before(node, parent)):
                yield from _targets(statement)
            if node in getattr(parent, "body", ()):
                yield from _opened(parent)
        node = parent


def _siblings_before(statement: ast.stmt, parent: ast.AST | None) -> list[ast.stmt]:
    for field in _BLOCKS:
        block = getattr(parent, field, None)
        if isinstance(block, list) and statement in block:
            return block[: block.index(statement)]
    return []


def _targets(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, ast.AnnAssign) and statement.value is not None else []


def _opened(block: ast.AST | None) -> list[ast.expr]:
    """Return what the head of a block binds whenever its body is entered."""
    if isinstance(block, ast.With | ast.AsyncWith):
        return [item.optional_vars for item in reversed(block.items) if item.optional_vars is not None]
    return [block.target] if isinstance(block, ast.For | ast.AsyncFor) else []


def _around(node: ast.AST, parents: Parents) -> Iterator[ast.AST]:
    """Yield a node and everything around it."""
    found: ast.AST | None = node
    while found is not None:
        yield found
        found = parents.get(found)


def _function(node: ast.AST, parents: Parents) -> ast.AST | None:
    return next((around for around in _around(node, parents) if isinstance(around, SCOPED)), None)


def _place(binding: Binding) -> tuple[int, int]:
    """Return from where on a binding holds: what it is made of was read before."""
    node = binding.node if binding.value is None else binding.value
    return getattr(node, "end_lineno", 0) or 0, getattr(node, "end_col_offset", 0) or 0
