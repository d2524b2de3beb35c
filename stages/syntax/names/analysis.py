"""Decides every name finding of one file from its syntax tree; the fast pass only says which files need it."""

from __future__ import annotations

import ast
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.bytecode import MODULE_OWNER
from stages.syntax.names import exports, maybe, namespace, report, resolve
from stages.syntax.names.builder import build
from stages.syntax.names.flow import Flow
from stages.syntax.names.imports import own_submodules
from stages.syntax.names.scopes import How, When

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stages._source.bytecode import Owner
    from stages.syntax.names.reads import Reading
    from stages.syntax.names.scopes import Names, Scope
    from stages.syntax.names.screen import Suspicion
    from verifier.api import Finding

_IMPLICIT = ("__doc__", "__annotations__")  # there without being bound
_DEPTH = 60_000  # frames; a call in Python takes none of the C stack
Body = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class NameFacts:
    """What the full analysis says of a file.

    Args:
        bindings: names that the compiled module binds; `added`: those bound through its namespace dictionary.
        open: findings that hold only if no star import of the file binds the name, by name.
        injected: names that this file puts among the builtins, for every file of the project.
    """

    findings: tuple[Finding, ...]
    open: dict[str, Finding]
    bindings: frozenset[str]
    added: frozenset[str]
    dynamic: bool
    injected: frozenset[str]


def analyse(tree: ast.Module, path: str, data: bytes, suspicion: Suspicion | None) -> NameFacts:
    """Judge every name of a file. `suspicion`: what the fast pass could not clear; None: it did not run."""
    owners = None if suspicion is None else suspicion.owners
    with deep():
        stub = path.endswith(".pyi")
        # where nothing is wrong with names beyond some functions, only these are read: most of a file is not
        names = build(tree, data, stub=stub, owners=None if suspicion is None or suspicion.needed else owners)
        hidden = suspicion is None or suspicion.namespace
        space = namespace.inspect(tree) if hidden else namespace.Namespace()
        space.probed |= namespace.given_by_host(path)
        if b"jit" in data:
            space.probed |= namespace.replaced_in_source(tree)
        places = report.Places(path, data)
        submodules = own_submodules(tree, path)
        found, waiting = _missing(names, space, places, path, submodules)
        if (found or waiting) and not names.whole:  # what is told of a name says where else it is bound
            names = build(tree, data, stub=stub)
            found, waiting = _missing(names, space, places, path, submodules)
        if not stub:
            found += _unbound(tree, names, places, owners)
            found += exports.missing(tree, names, space, places, path)
    dynamic = space.replaced or "__getattr__" in names.module.bindings
    findings = tuple(sorted(found, key=lambda f: (f.location, f.rule, f.symbol or "")))
    return NameFacts(findings, waiting, _bound(names), frozenset(space.added), dynamic, frozenset(space.injected))


def _bound(names: Names) -> frozenset[str]:
    unbinding = (How.DECLARED, How.DELETED)
    return frozenset(
        name
        for name, bindings in names.module.bindings.items()
        if name not in _IMPLICIT and any(b.compiled and b.how not in unbinding for b in bindings)
    )


@contextmanager
def deep() -> Iterator[None]:
    """Allow recursion as deep as any tree that CPython itself can parse."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _missing(
    names: Names, space: namespace.Namespace, places: report.Places, path: str, submodules: frozenset[str]
) -> tuple[list[Finding], dict[str, Finding]]:
    if space.open:
        return [], {}
    is_init = path.rpartition("/")[2] == "__init__.py"
    found, waiting = [], {}
    for entry in resolve.missing_names(names, space, package_init=is_init, submodules=submodules):
        finding = report.missing(entry, places, report.known_names(names.module.bindings, entry.uses[0].scope))
        in_types = all(use.when is not When.RUN for use in entry.uses)
        stars = [line for line in names.stars if line > 0 or in_types]
        if stars and entry.cause is not resolve.Cause.DECLARED:
            waiting[entry.name] = finding
        else:
            found.append(finding)
    return found, waiting


def _unbound(tree: ast.Module, names: Names, places: report.Places, owners: frozenset[Owner] | None) -> list[Finding]:
    future = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )
    found = []
    for node, scope in _bodies(tree, names, owners):
        certain, unsure = doubts(names, scope, node, future=future)
        found += _told(certain, unsure, places)
    return found


def doubts(names: Names, scope: Scope, node: Body, *, future: bool) -> tuple[list[Reading], list[Reading]]:
    """Return the reads of unbound names in one body: those that always fail, and those that may."""
    readings = Flow(names, scope, future).run(node)
    if not readings:
        return [], []
    certain = [reading for reading in readings if not reading.bound]
    unsure = [reading for reading in readings if reading.bound]
    around = maybe.Surroundings(node)

    def follow(decide: Callable[[ast.expr], bool | None]) -> list[Reading]:
        return Flow(names, scope, future, decide).run(node)

    return maybe.certain(follow, around, certain), maybe.doubtful(follow, around, unsure)


def _told(certain: list[Reading], unsure: list[Reading], places: report.Places) -> list[Finding]:
    grouped: dict[tuple[int, str], list[Reading]] = {}
    for reading in [*certain, *unsure]:
        scope, name = reading.variable
        grouped.setdefault((id(scope), name), []).append(reading)
    findings = []
    for readings in grouped.values():
        scope, name = readings[0].variable
        readings.sort(key=lambda r: (r.bound, r.use.line, r.use.column))
        uses = [reading.use for reading in readings]
        findings.append(report.unbound(name, uses, scope.bindings[name], places, certain=not readings[0].bound))
    return findings


def _bodies(tree: ast.Module, names: Names, owners: frozenset[Owner] | None) -> Iterator[tuple[Body, Scope]]:
    if owners is None or MODULE_OWNER in owners:
        yield tree, names.module
    for node, scope in names.scope_of.items():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if owners is None or (line, node.name) in owners:
                yield node, scope
