"""Decides how a module deals with errors: what it catches and what becomes of it, what it raises and asserts."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import own_nodes
from stages._source.walking import walk
from stages.syntax.inventory.text import text_of

if TYPE_CHECKING:
    from stages._source.program.project import Module
    from verifier.api import Json

_BROAD = frozenset(["Exception", "BaseException"])
_LOGS = frozenset(["debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "echo"])


def robustness(module: Module) -> dict[str, Json]:
    nodes = walk(module.tree)
    handlers: list[Json] = [_handler(node) for node in nodes if isinstance(node, ast.ExceptHandler)]
    raised: list[Json] = [
        {"line": node.lineno, "what": text_of(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)}
        for node in nodes
        if isinstance(node, ast.Raise) and node.exc is not None
    ]
    tries = [node for node in nodes if isinstance(node, ast.Try | ast.TryStar)]
    return {
        "handlers": sorted(handlers, key=_line),
        "raises": sorted(raised, key=_line),
        "asserts": sorted(node.lineno for node in nodes if isinstance(node, ast.Assert)),
        "finally": sorted(node.finalbody[0].lineno for node in tries if node.finalbody),
        "unclosed": _unclosed(module, nodes),
    }


def _line(row: Json) -> int:
    line = row.get("line") if isinstance(row, dict) else 0
    return line if isinstance(line, int) else 0


def _handler(node: ast.ExceptHandler) -> dict[str, Json]:
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type is not None else []
    return {
        "line": node.lineno,
        "catches": [text_of(kind) for kind in kinds] or ["everything"],
        "broad": node.type is None or any(last_name(kind) in _BROAD for kind in kinds),
        "does": _done(node),
    }


def _done(handler: ast.ExceptHandler) -> str:
    """Say in a word what becomes of the exception: the first of these that the handler does."""
    own = list(own_nodes(handler.body))
    if any(isinstance(item, ast.Raise) for item in own):
        return "raises"
    called = {last_name(item.func) for item in own if isinstance(item, ast.Call)}
    logs = " and logs" if called & _LOGS else ""
    if all(isinstance(item, ast.Pass | ast.Continue | ast.Break) or _is_text(item) for item in handler.body):
        return "swallows it"
    if any(isinstance(item, ast.Return) for item in own):
        return f"returns{logs}"
    return "logs" if logs and all(isinstance(item, ast.Expr) for item in handler.body) else f"goes on{logs}"


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _unclosed(module: Module, nodes: list[ast.AST]) -> list[Json]:
    """Return calls of `open` that no `with` closes, whatever happens in between."""
    parents = module.scopes.parents
    found = [
        node.lineno
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "open"
        and not isinstance(parents.get(node), ast.withitem | ast.Return)
    ]
    return [*sorted(found)]
