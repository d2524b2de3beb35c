"""Decides which tests a file holds: class, name, parameter combinations, skips, fixtures and mocks."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from math import prod
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages._source.program.origins import classes, origins
from stages._source.program.scopes import Function, own_nodes, parameters
from stages.syntax.inventory.parametrize import Mark, combinations, count, parametrized_names, skip_reasons, unfold
from stages.syntax.inventory.test_modules import is_test_module
from stages.syntax.inventory.text import literal, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope
    from verifier.api import Json

_FIXTURE = frozenset(["pytest.fixture", "pytest_asyncio.fixture"])
_STAND_INS = ("Mock", "Fake", "Stub", "Dummy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """A fixture of the task: `values` is how often it makes a test run, None where that is not written out."""

    path: str
    name: str
    values: int | None
    uses: tuple[str, ...]

    def visible_in(self, path: str) -> bool:
        own = PurePosixPath(self.path)
        return self.path == path or (own.name == "conftest.py" and own.parent in PurePosixPath(path).parents)


@dataclass(frozen=True, slots=True)
class _Place:
    path: str
    line: int
    cls: str | None


def read_fixtures(project: Project) -> list[Fixture]:
    found: list[Fixture] = []
    for module in project.modules:
        for node, scope in module.scopes.scopes.items():
            if isinstance(node, Function) and scope.parent is not None:
                found += _fixtures(project, module.path, node, scope.parent)
    return found


def tests_of(project: Project, module: Module, fixtures: Sequence[Fixture]) -> list[Json]:
    """Return one row per test, in source order; an inherited one stands at the line of the class that inherits it."""
    if not is_test_module(module.path):
        return []
    visible = {fixture.name: fixture for fixture in fixtures if fixture.visible_in(module.path)}
    root = module.scopes.root
    shared = [*_assigned_marks(root), *_import_gates(project, module)]
    rows: list[Json] = []
    for node in module.tree.body:
        if isinstance(node, Function) and node.name.startswith("test"):
            scope = module.scopes.scopes[node]
            rows.append(_row(project, scope, _Place(module.path, node.lineno, None), shared, visible))
        elif isinstance(node, ast.ClassDef):
            scope = module.scopes.scopes[node]
            if not _is_test_class(project, node, root):
                continue
            outer = [*shared, *(Mark(item, root) for item in node.decorator_list), *_assigned_marks(scope)]
            for method in _methods(project, scope):
                line = (
                    method.node.lineno if method.parent is scope and isinstance(method.node, Function) else node.lineno
                )
                rows.append(_row(project, method, _Place(module.path, line, node.name), outer, visible))
    return rows


def _row(project: Project, function: Scope, place: _Place, outer: Sequence[Mark], visible: dict[str, Fixture]) -> Json:
    node = function.node
    assert isinstance(node, Function)
    assert function.parent is not None
    own = [Mark(item, function.parent) for item in node.decorator_list]
    marks = [part for mark in [*outer, *own] for part in unfold(project, mark)]
    used = _used_fixtures(project, node, marks, in_class=place.cls is not None)
    factors = [combinations(project, marks), *(_values_of(name, visible) for name in _closure(used, visible))]
    known = [factor for factor in factors if factor is not None]
    skips = [*skip_reasons(project, marks), *_skips_in_body(project, function)]
    return {
        "path": place.path,
        "line": place.line,
        "class": place.cls,
        "name": node.name,
        "parameters": prod(known) if len(known) == len(factors) else None,
        "skip": "; ".join(skips) or None,
        "fixtures": [*used],
        "mocks": [*_mocks(project, function, marks)],
    }


def _fixtures(project: Project, path: str, node: Function, scope: Scope) -> Iterator[Fixture]:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if not origins(project, called, scope) & _FIXTURE:
            continue
        keywords = {item.arg: item.value for item in decorator.keywords} if isinstance(decorator, ast.Call) else {}
        name = literal(keywords["name"]) if "name" in keywords else node.name
        values = count(project, keywords["params"], scope) if "params" in keywords else 1
        uses = tuple(argument.arg for argument, default in parameters(node) if default is None)
        yield Fixture(path=path, name=str(name), values=values, uses=uses)


def _is_test_class(project: Project, node: ast.ClassDef, scope: Scope) -> bool:
    """Tell a test class: unittest's by the base, pytest's by the name unless it has a constructor."""
    bases = {origin for base in node.bases for origin in origins(project, base, scope)}
    if any(origin.rpartition(".")[2].endswith("TestCase") for origin in bases):
        return True
    has_constructor = any(isinstance(item, Function) and item.name in ("__init__", "__new__") for item in node.body)
    return node.name.startswith("Test") and not has_constructor


def _methods(project: Project, cls: Scope, seen: frozenset[str] = frozenset()) -> list[Scope]:
    """Return the test methods of a class, those it inherits from classes of the task after its own."""
    assert isinstance(cls.node, ast.ClassDef)
    own = [
        binding.scope.inner[binding.node]
        for name, bindings in cls.bindings.items()
        for binding in bindings[-1:]
        if binding.how == "function" and name.startswith("test") and name not in seen
    ]
    found = sorted(own, key=lambda scope: getattr(scope.node, "lineno", 0))
    names = seen | set(cls.bindings)
    for base in cls.node.bases if cls.parent is not None else []:
        for inherited in classes(project, base, cls.parent) if cls.parent is not None else []:
            if inherited is not cls and len(names) < 10_000:
                found += _methods(project, inherited, names)
                names |= set(inherited.bindings)
    return found


def _assigned_marks(scope: Scope) -> list[Mark]:
    return [
        Mark(binding.value, binding.scope)
        for binding in scope.bindings.get("pytestmark", [])
        if binding.value is not None
    ]


def _import_gates(project: Project, module: Module) -> list[Mark]:
    """`pytest.importorskip` and `pytest.skip(allow_module_level=True)` where the module is loaded."""
    return [
        Mark(seen.node, seen.scope)
        for seen in module.scopes.calls
        if isinstance(seen.node, ast.Call)
        and seen.scope is module.scopes.root
        and origins(project, seen.node.func, seen.scope) & {"pytest.importorskip", "pytest.skip"}
    ]


def _used_fixtures(project: Project, node: Function, marks: Sequence[Mark], *, in_class: bool) -> list[str]:
    names = [argument.arg for argument, default in parameters(node) if default is None]
    variadic = {item.arg for item in (node.args.vararg, node.args.kwarg) if item is not None}
    static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
    if in_class and not static:
        names = names[1:]
    names = names[sum(_injects(project, mark) for mark in marks) :]  # what `mock.patch` passes, in front
    filled = parametrized_names(project, marks)
    for mark in marks:
        called = mark.expr.func if isinstance(mark.expr, ast.Call) else mark.expr
        if isinstance(mark.expr, ast.Call) and "pytest.mark.usefixtures" in origins(project, called, mark.scope):
            names += [str(literal(item)) for item in mark.expr.args if isinstance(item, ast.Constant)]
    return list(dict.fromkeys(name for name in names if name not in filled | variadic))


def _injects(project: Project, mark: Mark) -> bool:
    if not isinstance(mark.expr, ast.Call):
        return False
    called = origins(project, mark.expr.func, mark.scope)
    position = 1 if "unittest.mock.patch" in called else 2 if "unittest.mock.patch.object" in called else None
    replaced = any(item.arg in ("new", "new_callable") for item in mark.expr.keywords if item.arg == "new")
    return position is not None and len(mark.expr.args) <= position and not replaced


def _closure(names: Sequence[str], visible: dict[str, Fixture]) -> list[str]:
    found: list[str] = []
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in visible and name not in found:
            found.append(name)
            pending += visible[name].uses
    return found


def _values_of(name: str, visible: dict[str, Fixture]) -> int | None:
    return visible[name].values


def _skips_in_body(project: Project, function: Scope) -> list[str]:
    assert isinstance(function.node, Function)
    found = []
    for node in own_nodes(function.node.body):
        if not isinstance(node, ast.Call):
            continue
        called = origins(project, node.func, function)
        if "pytest.skip" in called or (isinstance(node.func, ast.Attribute) and node.func.attr == "skipTest"):
            reason = literal(node.args[0]) if node.args else ""
            found.append((node.lineno, f"in its body: {reason if isinstance(reason, str) else text_of(node.args[0])}"))
        elif "pytest.importorskip" in called and node.args:
            found.append((node.lineno, f"if {text_of(node.args[0])} cannot be imported"))
    return [text for _, text in sorted(found)]


def _mocks(project: Project, function: Scope, marks: Sequence[Mark]) -> list[str]:
    """Return what stands in for the real thing: classes that say so by name, and unittest.mock's own."""
    assert isinstance(function.node, Function)
    calls = [(node, function) for node in own_nodes(function.node.body) if isinstance(node, ast.Call)]
    calls += [(mark.expr, mark.scope) for mark in marks if isinstance(mark.expr, ast.Call)]
    found: set[str] = set()
    for node, scope in calls:
        for origin in origins(project, node.func, scope):
            if origin.startswith(("unittest.mock.", "mock.")):
                target = literal(node.args[0]) if node.args and ".patch" in origin else None
                found.add(f"patch {target}" if isinstance(target, str) else origin.partition("mock.")[2])
            elif origin.rpartition(".")[2].startswith(_STAND_INS) and classes(project, node.func, scope):
                found.add(origin.rpartition(".")[2])
    return sorted(found)
