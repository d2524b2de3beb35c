"""Whether a place runs only with some versions of a library, because the code around it asks first."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

_ASKS = late(r"[vV]ersion|VERSION|hasattr|getattr|TORCH_|(?<!\.is)_[aA]vailable|signature|has_\w*amp|HAS_")
_MISSING = late(r"Import|ModuleNotFound|Attribute|TypeError|Exception|^$")


def asked_before(view: View, node: ast.AST) -> bool:
    """Say whether the node stands under a test of a version or of an attribute, or in a `try` that catches its lack."""
    return any(_asks(around, inner) for inner, around in _outwards(view, node))


def optional_import(view: View, node: ast.AST) -> bool:
    """Say whether the code goes on where an import fails."""
    return any(isinstance(around, ast.Try) and inner in around.body for inner, around in _outwards(view, node))


def _outwards(view: View, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    around = view.module.scopes.parents.get(node)
    while around is not None:
        yield node, around
        node, around = around, view.module.scopes.parents.get(around)


def _asks(around: ast.AST, inner: ast.AST) -> bool:
    match around:
        case ast.If(test=test) | ast.IfExp(test=test):
            return inner is not test and _ASKS.search(ast.unparse(test)) is not None
        case ast.Try(handlers=handlers):
            return any(_MISSING.search(_caught(handler)) is not None for handler in handlers)
        case ast.ExceptHandler():
            return _MISSING.search(_caught(around)) is not None
    return False


def _caught(handler: ast.ExceptHandler) -> str:
    return "" if handler.type is None else ast.unparse(handler.type)
