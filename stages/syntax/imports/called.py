"""Decides which functions code at module level may call, directly or through others."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.walking import children

if TYPE_CHECKING:
    from collections.abc import Iterable


def called_on_import(trees: Iterable[ast.Module]) -> set[str]:
    """Return names of functions and classes that module-level code may call, directly or through others."""
    by_function: dict[str, set[str]] = {}
    called = {"__getattr__"}  # reading an attribute is enough
    for tree in trees:
        pending: list[tuple[ast.AST, str]] = [(tree, "")]
        while pending:
            node, function = pending.pop()
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                (by_function.setdefault(function, set()) if function else called).add(name)
            for given, meant in _renamed(node):
                by_function.setdefault(given, set()).add(meant)
            inner = node.name if isinstance(node, ast.FunctionDef) and not function else function
            for child in children(node):
                decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
                pending.append((child, function if child in decorators else inner))
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                tails = (getattr(item, "id", getattr(item, "attr", "")) for item in node.decorator_list)
                called.update(tail for tail in tails if tail)
    pending_names = list(called)
    while pending_names:
        for name in by_function.get(pending_names.pop(), set()) - called:
            called.add(name)
            pending_names.append(name)
    return called


def _renamed(node: ast.AST) -> Iterable[tuple[str, str]]:
    """Yield new and old names of what a statement gives another name: whoever calls one calls the other."""
    if isinstance(node, ast.ImportFrom):
        yield from ((alias.asname, alias.name) for alias in node.names if alias.asname)
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute):
        meant = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
        yield from ((target.id, meant) for target in node.targets if isinstance(target, ast.Name))
