"""Where to start walking: from code that nothing in sight calls, so that functions are seen as they are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.logic.engine.engine import walk
from stages.logic.engine.state import happened

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable

    from stages._source.program.project import Module
    from stages._source.program.scopes import Scope
    from stages.logic.engine.engine import Engine
    from stages.logic.engine.state import Happened, State


@dataclass(frozen=True, slots=True)
class Walked:
    """A start, and what happens on the longest path through it, in order."""

    scope: Scope
    steps: tuple[Happened, ...]


def walk_all(engine: Engine, modules: Iterable[Module]) -> list[Walked]:
    """Walk every function of these files that can touch AMP, those that are called only from where they are called.

    Returns:
        Every start, with the longest of its paths.
    """
    walked: list[Walked] = []
    given = list(modules)
    relevant = [scope for module in given for scope in _scopes(module) if engine.relevance.of(scope)]
    called = {callee for scope in relevant for callee in engine.relevance.callees(scope)}
    for scope in relevant:
        if scope not in called and not _is_init(scope):
            walked.append(_longest(scope, walk(engine, scope)))
    for scope in _left(engine, relevant):
        if scope not in engine.walked:
            walked.append(_longest(scope, walk(engine, scope)))
    return walked


def _left(engine: Engine, relevant: Iterable[Scope]) -> list[Scope]:
    """Return what was called in ways that were not walked: on no path, too deep, or from a start that took too long.

    Those that others of them call come last, so that they are seen as they are used.
    """
    left = [
        scope
        for scope in relevant
        if scope not in engine.walked and (scope in engine.cut or engine.relevance.direct(scope))
    ]
    inner = {callee for scope in left for callee in engine.relevance.callees(scope)}
    return sorted(left, key=lambda scope: scope in inner)


def _longest(scope: Scope, ends: Iterable[State]) -> Walked:
    paths = [happened(end.trail) for end in ends]
    return Walked(scope, max(paths, key=len, default=()))


def _scopes(module: Module) -> list[Scope]:
    root = module.scopes.root
    return [root, *(scope for node, scope in module.scopes.scopes.items() if isinstance(node, Function))]


def _is_init(scope: Scope) -> bool:
    node: ast.AST = scope.node
    return isinstance(node, Function) and node.name == "__init__"
