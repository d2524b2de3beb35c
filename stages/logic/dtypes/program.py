"""Reads every function that runs in low precision: those that say so, and what they call, with what they pass."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, Scope, parameters
from stages.logic.dtypes.expressions import infer
from stages.logic.dtypes.flow import read_body
from stages.logic.dtypes.imported import imported_modules
from stages.logic.dtypes.known import NOWHERE, UNKNOWN, Known, Region, Unit, joined
from stages.logic.dtypes.reading import Reading
from stages.logic.dtypes.regions import decorated
from stages.logic.dtypes.targets import Calls, method_of, targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages._source.program.project import Module, Project

_DEEPEST = 24  # calls inside of calls
_MANY = 6000  # functions, each as it is called from somewhere
_WAYS = 6  # in which one function is read
_LOW_NAMES = frozenset(["half", "float16", "bfloat16"])
Key = tuple[Scope, str, tuple[tuple[str, str, bool, bool], ...]]


@dataclass(slots=True)
class Dtypes:
    """What was read."""

    project: Project
    calls: Calls
    units: list[Unit] = field(default_factory=list)
    results: dict[Key, Known] = field(default_factory=dict)
    ways: dict[Scope, int] = field(default_factory=dict)
    spared: set[Scope] = field(default_factory=set)  # called where autocast is turned off
    depth: int = 0

    def calls_of(self, reading: Reading, call: ast.Call, given: Sequence[Known]) -> Known | None:
        """Read the project's code that a call runs; None where it runs none that is known."""
        func = call.func.args[0] if _is_compiled(call.func) else call.func  # type: ignore[attr-defined]
        found = targets(self.calls, func, reading.scope)
        if not found:
            return None
        returned = []
        for scope, bound in found:
            known = _arguments(scope, call, given, reading, bound=bound)
            if reading.region.dtype == "off":
                self.spared.add(scope)
            returned.append(self.read(scope, reading.region, known))
        return joined(returned)

    def read(self, scope: Scope, region: Region, given: dict[str, Known], *, start: bool = False) -> Known:
        """Read a function under an autocast and with what it is given; return what it returns.

        Args:
            start: the function enters autocast, or casts, by itself; others are read only where something is low.
        """
        low = {name: known for name, known in given.items() if known.dtype or known.positions or known.bounded}
        key: Key = (
            scope,
            region.dtype + "?" * region.assumed,
            tuple(sorted((n, k.dtype, k.positions, k.bounded) for n, k in low.items())),
        )
        if key in self.results:
            return self.results[key]
        self.results[key] = UNKNOWN  # what a function that calls itself adds
        enough = self.depth >= _DEEPEST or len(self.units) >= _MANY or self.ways.get(scope, 0) >= _WAYS
        module = self.project.named(scope.module)
        if enough or module is None or not (start or _may_matter(region, low)):
            return UNKNOWN
        self.ways[scope] = self.ways.get(scope, 0) + 1
        self.depth += 1
        self.results[key] = self._read(scope, module, region, low)
        self.depth -= 1
        return self.results[key]

    def _read(self, scope: Scope, module: Module, region: Region, given: dict[str, Known]) -> Known:
        node = scope.node
        if not isinstance(node, Function | ast.Module):
            return UNKNOWN
        if isinstance(node, Function):
            region = decorated(self.project, node, scope) or region
        unit = Unit(scope, module, region, given=given)
        self.units.append(unit)
        env = {name: known.plain() for name, known in given.items()}
        reading = Reading(self.project, unit, region, self.calls_of, infer, env)
        read_body(reading, node.body)
        if isinstance(node, Function) and self.calls.is_generator(node):
            return UNKNOWN
        return replace(joined(unit.returned), marks=())


def read_dtypes(project: Project, modules: Iterable[Module]) -> Dtypes:
    """Read every function of these files that names a low precision, and what such functions call."""
    dtypes = Dtypes(project, Calls(project))
    for module in modules:
        for scope in _starts(module):
            dtypes.read(scope, NOWHERE, {}, start=True)
    for cls in imported_modules(project, _training(dtypes.units)):
        forward = method_of(project, cls, "forward")
        if forward is not None and forward not in dtypes.ways:
            dtypes.read(forward, Region("float16", assumed=True), {})
    return dtypes


def _training(units: Iterable[Unit]) -> list[Module]:
    """Return the files that compute gradients of what ran under an autocast in float16."""
    found: dict[str, Module] = {}
    for unit in units:
        module = unit.module
        if module.path in found or all(region.dtype != "float16" for region in unit.regions.values()):
            continue
        if any(_is_backward(seen.node) for seen in module.scopes.calls):
            found[module.path] = module
    return list(found.values())


def _is_backward(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "backward"


def _starts(module: Module) -> list[Scope]:
    """Return the functions, and the module's own level, that enter autocast or cast to half themselves."""
    found: dict[Scope, None] = {}
    for seen in (*module.scopes.contexts, *module.scopes.calls):
        if _speaks(seen.node):
            scope = seen.scope
            while not isinstance(scope.node, Function | ast.Module) and scope.parent is not None:
                scope = scope.parent
            found.setdefault(scope)
    for node, scope in module.scopes.scopes.items():
        if isinstance(node, Function) and any("autocast" in ast.unparse(item) for item in node.decorator_list):
            found.setdefault(scope)
    return list(found)


def _speaks(node: ast.AST) -> bool:
    if isinstance(node, ast.withitem):
        return not isinstance(node.context_expr, ast.Call) or "autocast" in last_name(node.context_expr.func)
    if not isinstance(node, ast.Call):
        return False
    if last_name(node.func) in _LOW_NAMES:
        return True
    given = [*node.args, *(item.value for item in node.keywords)]
    return any(isinstance(item, ast.Attribute) and item.attr in _LOW_NAMES for item in given)


def _may_matter(region: Region, given: dict[str, Known]) -> bool:
    return region.low or any(known.low for known in given.values())


def _is_compiled(func: ast.expr) -> bool:
    return isinstance(func, ast.Call) and last_name(func.func) == "compile" and bool(func.args)


def _arguments(
    scope: Scope, call: ast.Call, given: Sequence[Known], reading: Reading, *, bound: bool
) -> dict[str, Known]:
    """Return what each parameter of a function gets from a call."""
    node = scope.node
    assert isinstance(node, Function)
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    if bound:
        names = names[1:]
    if any(isinstance(item, ast.Starred) for item in call.args):
        given = ()
    known = dict(zip(names, given, strict=False))
    every = {argument.arg for argument, _ in parameters(node)}
    for keyword in call.keywords:
        if keyword.arg in every and keyword.arg is not None:
            known[keyword.arg] = reading.unit.at(keyword.value)
    return known
