"""Where to start walking: from code that nothing in sight calls, so that functions are seen as they are used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.logic.engine.engine import walk

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable

    from stages._source.program.project import Module
    from stages._source.program.scopes import Scope
    from stages.logic.engine.engine import Engine

AMP_TEXT = re.compile(
    rb"autocast|GradScaler|[sS]caler\b|\bamp\b|accelerator|Accelerator|fabric|LightningModule|manual_backward"
    rb"|bfloat16|float16|\.half\(|unscale_"
)


def walk_all(engine: Engine, modules: Iterable[Module]) -> None:
    """Walk every function of these files that can touch AMP, those that are called only from where they are called."""
    given = list(modules)
    relevant = [scope for module in given for scope in _scopes(module) if engine.relevance.of(scope)]
    called = {callee for scope in relevant for callee in engine.relevance.callees(scope)}
    for scope in relevant:
        if scope not in called and not _is_init(scope):
            walk(engine, scope)
    for scope in relevant:  # called in ways that were not walked: on no path, or too deep
        if scope not in engine.walked and engine.relevance.direct(scope):
            walk(engine, scope)


def _scopes(module: Module) -> list[Scope]:
    root = module.scopes.root
    return [root, *(scope for node, scope in module.scopes.scopes.items() if isinstance(node, Function))]


def _is_init(scope: Scope) -> bool:
    node: ast.AST = scope.node
    return isinstance(node, Function) and node.name == "__init__"
