"""Decides which statements the compiler leaves out because no path leads to them, as CPython's own analysis does."""

from __future__ import annotations

import ast
from typing import Literal

Exit = Literal["next", "break"]
_NEXT: frozenset[Exit] = frozenset({"next"})
_NOWHERE: frozenset[Exit] = frozenset()


class Reach:
    """Where control can go after each statement, found once for each."""

    def __init__(self) -> None:
        self._known: dict[ast.stmt, frozenset[Exit]] = {}

    def goes_on(self, statement: ast.stmt) -> bool:
        """Return whether the statement after this one can be reached."""
        return "next" in self._exits(statement)

    def falls_through(self, body: list[ast.stmt]) -> bool:
        """Return whether control can leave a block at its end."""
        return "next" in self._block(body)

    def _block(self, body: list[ast.stmt]) -> frozenset[Exit]:
        found = _NOWHERE
        for statement in body:
            exits = self._exits(statement)
            found |= exits - _NEXT
            if "next" not in exits:
                return found
        return found | _NEXT

    def _exits(self, node: ast.stmt) -> frozenset[Exit]:
        known = self._known.get(node)
        if known is None:
            known = self._known[node] = self._find(node)
        return known

    def _find(self, node: ast.stmt) -> frozenset[Exit]:
        if isinstance(node, ast.Return | ast.Raise | ast.Continue):
            return _NOWHERE
        if isinstance(node, ast.Break):
            return frozenset({"break"})
        if isinstance(node, ast.If):
            if (always := constant(node.test)) is not None:
                return self._block(node.body if always else node.orelse)
            return self._block(node.body) | self._block(node.orelse)
        if isinstance(node, ast.While | ast.For | ast.AsyncFor):
            return self._loop(node)
        if isinstance(node, ast.With | ast.AsyncWith):
            return self._block(node.body) | _NEXT  # the manager may swallow what the body raises
        if isinstance(node, ast.Match):
            return frozenset().union(_NEXT, *(self._block(case.body) for case in node.cases))
        if isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            return self._try(node)  # type: ignore[arg-type]
        return _NEXT

    def _loop(self, node: ast.While | ast.For | ast.AsyncFor) -> frozenset[Exit]:
        inside = self._block(node.body)
        endless = isinstance(node, ast.While) and constant(node.test) is True
        after = _NOWHERE if endless else self._block(node.orelse)
        return after | _NEXT if "break" in inside else after

    def _try(self, node: ast.Try) -> frozenset[Exit]:
        body = self._block(node.body)
        found = body - _NEXT
        if "next" in body:
            found |= self._block(node.orelse)
        for handler in node.handlers:
            found |= self._block(handler.body)
        final = self._block(node.finalbody)
        return found | (final - _NEXT) if "next" in final else final


def constant(test: ast.expr) -> bool | None:
    """Return the worth of a test that the compiler folds, or None."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Name) and test.id == "__debug__":
        return True
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = constant(test.operand)
        return None if inner is None else not inner
    return None
