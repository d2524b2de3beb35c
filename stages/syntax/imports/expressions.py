"""Decides which names and attributes evaluating an expression certainly reads, and what it certainly calls."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.walking import children
from stages.syntax.imports.program import Chain, Use

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages.syntax.imports.conditions import Conditions


def chain_of(node: ast.expr) -> Chain:
    """Return ("a", "b") for `a.b`; () for anything that is not a name and attributes of it."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    parts.append(node.id)
    return tuple(reversed(parts))


class Expressions:
    """Walks expressions in evaluation order; operands that may be skipped are left out."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def uses(self, nodes: Iterable[ast.expr]) -> list[Use]:
        """Return what the expressions read and call."""
        found: list[Use] = []
        for node in nodes:
            self._walk(node, found)
        return found

    def _walk(self, node: ast.expr, found: list[Use]) -> None:
        if isinstance(node, ast.Name | ast.Attribute):
            if chain := chain_of(node):
                found.append(Use(node.lineno, ".".join(chain), chain, call=False))
            elif isinstance(node, ast.Attribute):
                self._walk(node.value, found)
        elif isinstance(node, ast.Constant | ast.Lambda):
            return
        elif isinstance(node, ast.Call):
            self._call(node, found)
        elif isinstance(node, ast.BoolOp):
            self._walk(node.values[0], found)
        elif isinstance(node, ast.IfExp):
            outcome = self._conditions.decide(node.test)
            self._walk(node.test, found)
            if outcome is not None:
                self._walk(node.body if outcome else node.orelse, found)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            self._walk(node.generators[0].iter, found)
        else:
            for child in children(node):
                if isinstance(child, ast.expr):
                    self._walk(child, found)

    def _call(self, node: ast.Call, found: list[Use]) -> None:
        chain = chain_of(node.func)
        if not chain:
            self._walk(node.func, found)
        elif chain in {("hasattr",), ("getattr",)}:  # a missing attribute may be just what is asked
            return
        for argument in node.args:
            self._walk(argument.value if isinstance(argument, ast.Starred) else argument, found)
        for keyword in node.keywords:
            self._walk(keyword.value, found)
        if chain:
            found.append(Use(node.lineno, f"{'.'.join(chain)}()", chain, call=True))
