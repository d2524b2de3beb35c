"""Decides which modules of torch a training file may run: those that it imports, and what these import."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.dtypes.targets import is_module

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope

_MANY = 400  # files; a training file that reaches more imports a library, not a model


def imported_modules(project: Project, modules: Iterable[Module]) -> list[Scope]:
    """Return the classes of layers and models in what files import; none where they import too much to tell."""
    pending = {module.path: module for module in modules}
    waiting = list(pending.values())
    for module in waiting:  # grows while it is walked
        for found in _imports(project, module):
            if found.path not in pending:
                pending[found.path] = found
                waiting.append(found)
        if len(waiting) > _MANY:
            return []
    classes = [
        scope
        for module in waiting
        for node, scope in module.scopes.scopes.items()
        if isinstance(node, ast.ClassDef) and "forward" in scope.bindings
    ]
    return [cls for cls in classes if is_module(project, cls)]


def _imports(project: Project, module: Module) -> list[Module]:
    found: list[Module] = []
    for scope in module.scopes.scopes.values():
        origins = [*scope.stars, *(item.origin for items in scope.bindings.values() for item in items if item.origin)]
        for origin in origins:
            split = project.split(origin)
            if split is not None:
                found.append(split[0])
    return found
