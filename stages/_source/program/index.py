"""Finds the classes and the calls of one file by name; each file is gone through once, when it is first asked."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stages._source.program.scopes import FileScopes, Scope, Seen


def classes_with(file: FileScopes, name: str) -> list[Scope]:
    """Return the classes in whose bodies a name is bound."""
    return members(file).get(name, [])


def members(file: FileScopes) -> Mapping[str, list[Scope]]:
    """Return the classes of a file by each name that is bound in their bodies."""
    if file.by_member is None:
        file.by_member = {}
        for scope in file.scopes.values():
            if isinstance(scope.node, ast.ClassDef):
                for member in scope.bindings:
                    file.by_member.setdefault(member, []).append(scope)
    return file.by_member


def calls_of(file: FileScopes, name: str) -> list[Seen]:
    """Return the calls of what goes by a name, or is taken from something that does: `x` in `a.x[0]()`."""
    if file.by_called is None:
        file.by_called = {}
        for seen in file.calls:
            file.by_called.setdefault(_called(seen.node), []).append(seen)
    return file.by_called.get(name, [])


def _called(node: ast.AST) -> str:
    assert isinstance(node, ast.Call)
    func = node.func
    while isinstance(func, ast.Subscript):
        func = func.value
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
