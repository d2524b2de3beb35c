"""What a project says about the framework that trains: its precision, and the classes that it drives."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.origins import lineage, origins
from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope
    from stages.logic.engine.values import Framework
    from stages.logic.view import View

_HALF = frozenset(["16", "16-mixed", "fp16", "16-true"])


def scales(framework: Framework | None) -> bool | None:
    """Say whether a framework's object scales the loss: None where its configuration decides at run time."""
    if framework is None or framework.precision is None:
        return None
    if not framework.precision:  # accelerate takes what its own configuration file says, Fabric full precision
        return None if framework.name == "accelerate" else False
    return framework.precision in _HALF


def lightning_modules(view: View) -> Iterator[Scope]:
    """Yield the classes of the file that derive from LightningModule."""
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, ast.ClassDef) and any(
            name.endswith(".LightningModule") for name in bases(view.project, scope)
        ):
            yield scope


def methods(cls: Scope) -> Iterator[tuple[str, Scope]]:
    """Yield the methods that a class defines itself."""
    for name, bindings in cls.bindings.items():
        for binding in bindings:
            if isinstance(binding.node, Function):
                yield name, cls.inner[binding.node]


def bases(project: Project, cls: Scope) -> frozenset[str]:
    """Return the dotted names of all classes that a class of the project derives from."""
    found: set[str] = set()
    for scope in lineage(project, cls):
        if isinstance(scope.node, ast.ClassDef) and scope.parent is not None:
            for base in scope.node.bases:
                found |= origins(project, base, scope.parent)
    return frozenset(found)


def trains_in_half(view: View) -> bool | None:
    """Say whether Lightning's Trainer is made for float16: what the file itself says, or else the whole project.

    None where some call leaves it open, or says something else than another.
    """
    said = set(_said(view, view.module)) or {item for module in view.project.modules for item in _said(view, module)}
    return said.pop() if len(said) == 1 else None


def _said(view: View, module: Module) -> Iterator[bool | None]:
    for seen in module.scopes.calls:
        assert isinstance(seen.node, ast.Call)
        called = origins(view.project, seen.node.func, seen.scope)
        if vocabulary.precision_arguments(called) == ("precision",):
            yield _precision(seen.node)


def _precision(call: ast.Call) -> bool | None:
    for keyword in call.keywords:
        if keyword.arg == "precision":
            return str(keyword.value.value) in _HALF if isinstance(keyword.value, ast.Constant) else None
    return None if any(keyword.arg is None for keyword in call.keywords) else False
