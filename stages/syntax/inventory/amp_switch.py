"""Decides how the AMP switch is threaded: which parameters and fields carry it, and what becomes of each."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function, parameters
from stages.syntax.inventory.fields import fields_of, is_made_from_fields
from stages.syntax.inventory.switch_names import is_switch, may_be_switch
from stages.syntax.inventory.switch_uses import Trace, attribute_loads, follow, variable_loads
from stages.syntax.inventory.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope
    from stages.syntax.inventory.switch_uses import Load
    from verifier.api import Json


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Switch:
    """A parameter or field that switches mixed precision, and where it is read."""

    scope: Scope
    name: str
    line: int
    default: ast.expr | None
    loads: Sequence[Load]


def amp_switch(project: Project, module: Module) -> list[Json]:
    """Return one row per parameter or dataclass field that switches mixed precision, in source order."""
    found = [*_parameters(project, module), *_fields(project, module)]
    return [_row(project, module, switch) for switch in sorted(found, key=lambda item: item.line)]


def _parameters(project: Project, module: Module) -> Iterator[_Switch]:
    for node, scope in module.scopes.scopes.items():
        if not isinstance(node, Function):
            continue
        for argument, default in parameters(node):
            if may_be_switch(argument.arg):
                loads = variable_loads(module, argument.arg, scope)
                if is_switch(project, argument.arg, argument.annotation, default, loads):
                    yield _Switch(scope=scope, name=argument.arg, line=argument.lineno, default=default, loads=loads)


def _fields(project: Project, module: Module) -> Iterator[_Switch]:
    for node, scope in module.scopes.scopes.items():
        if not isinstance(node, ast.ClassDef) or not is_made_from_fields(project, scope):
            continue
        for item, name, default in fields_of(project, scope):
            if may_be_switch(name):
                loads = attribute_loads(project, name, scope)
                if is_switch(project, name, item.annotation, default, loads):
                    yield _Switch(scope=scope, name=name, line=item.lineno, default=default, loads=loads)


def _row(project: Project, module: Module, switch: _Switch) -> Json:
    trace = Trace(module.path)
    follow(project, switch.loads, trace)
    return {
        "path": module.path,
        "line": switch.line,
        "function": switch.scope.label,
        "parameter": switch.name,
        "default": text_of(switch.default) if switch.default is not None else None,
        "public": _is_public(switch.scope),
        "uses": [{"line": at, "how": how} for at, how in sorted(trace.uses)],
        "passed_to": [{"line": at, "function": function} for at, function in sorted(trace.passed)],
    }


def _is_public(scope: Scope) -> bool:
    """Reachable by name from outside: no private part, and not inside another function."""
    outer = scope.parent
    while outer is not None and outer.parent is not None:
        if not isinstance(outer.node, ast.ClassDef):
            return False
        outer = outer.parent
    return all(
        not part.startswith("_") or (part.startswith("__") and part.endswith("__"))
        for part in scope.qualname.split(".")
    )
