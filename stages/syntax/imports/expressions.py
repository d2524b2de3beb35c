"""Decides which names and attributes evaluating an expression certainly reads, and what it certainly calls."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.walking import children
from stages.syntax.imports.program import Chain, Use

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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

    def uses(self, nodes: Iterable[ast.expr]) -> Iterator[Use]:
        """Yield what the expressions read and call."""
        for node in nodes:
            yield from self._walk(node)

    def _walk(self, node: ast.expr) -> Iterator[Use]:
        if isinstance(node, ast.Name | ast.Attribute):
            if chain := chain_of(node):
                yield Use(node.lineno, ".".join(chain), chain, call=False)
            elif isinstance(node, ast.Attribute):
                yield from self._walk(node.value)
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        elif isinstance(node, ast.BoolOp):
            yield from self._walk(node.values[0])
        elif isinstance(node, ast.IfExp):
            outcome = self._conditions.decide(node.test)
            yield from self._walk(node.test)
            if outcome is not None:
                yield from self._walk(node.body if outcome else node.orelse)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from self._walk(node.generators[0].iter)
        elif not isinstance(node, ast.Lambda | ast.Constant):
            for child in children(node):
                if isinstance(child, ast.expr):
                    yield from self._walk(child)

    def _call(self, node: ast.Call) -> Iterator[Use]:
        chain = chain_of(node.func)
        if not chain:
            yield from self._walk(node.func)
        elif chain in {("hasattr",), ("getattr",)}:  # a missing attribute may be just what is asked
            return
        for argument in node.args:
            yield from self._walk(argument.value if isinstance(argument, ast.Starred) else argument)
        for keyword in node.keywords:
            yield from self._walk(keyword.value)
        if chain:
            yield Use(node.lineno, f"{'.'.join(chain)}()", chain, call=True)
