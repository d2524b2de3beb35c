"""Decides conditions that are fixed before a module runs: type checking, the main guard, version and platform."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stages._source.walking import children, walk

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_UNKNOWN = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The target's version and platform. `constants` are module-level names bound once, to a literal."""

    version: tuple[int, int, int]
    platform: str
    os_name: str
    constants: Mapping[str, object] = field(default_factory=dict)

    def decide(self, test: ast.expr) -> bool | None:
        """Return what the test is whenever the module is imported; None where it depends on more."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.decide(test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            return self._join(test)
        value = self._value(test)
        return None if value is _UNKNOWN else bool(value)

    def _join(self, test: ast.BoolOp) -> bool | None:
        if isinstance(test.op, ast.Or) and is_type_checking(test):
            return False
        deciding = isinstance(test.op, ast.Or)  # one such operand settles it
        outcomes = [self.decide(operand) for operand in test.values]
        if deciding in outcomes:
            return deciding
        return None if None in outcomes else not deciding

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            items = [self._value(item) for item in node.elts]
            return _UNKNOWN if any(item is _UNKNOWN for item in items) else tuple(items)
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        return _UNKNOWN

    def _named(self, name: str) -> Any:
        if name == "TYPE_CHECKING":
            return False
        if name == "__name__":
            return "<imported>"  # never "__main__"
        return self.constants.get(name, _UNKNOWN)

    def _attribute(self, node: ast.Attribute) -> Any:
        if node.attr == "TYPE_CHECKING":
            return False
        if isinstance(node.value, ast.Name):
            known = {
                ("sys", "version_info"): self.version,
                ("sys", "platform"): self.platform,
                ("os", "name"): self.os_name,
            }
            return known.get((node.value.id, node.attr), _UNKNOWN)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "version_info":
            fields = {"major": 0, "minor": 1, "micro": 2}
            if node.attr in fields:
                return self.version[fields[node.attr]]
        return _UNKNOWN

    def _subscript(self, node: ast.Subscript) -> Any:
        value = self._value(node.value)
        if not isinstance(value, tuple):
            return _UNKNOWN
        if isinstance(node.slice, ast.Slice):
            parts = [self._value(part) if part else None for part in (node.slice.lower, node.slice.upper)]
            if all(part is None or isinstance(part, int) for part in parts) and node.slice.step is None:
                return value[parts[0] : parts[1]]
            return _UNKNOWN
        index = self._value(node.slice)
        return value[index] if isinstance(index, int) and -len(value) <= index < len(value) else _UNKNOWN

    def _comparison(self, node: ast.Compare) -> Any:
        left = self._value(node.left)
        for sign, item in zip(node.ops, node.comparators, strict=True):
            right = self._value(item)
            if left is _UNKNOWN or right is _UNKNOWN:
                return _UNKNOWN
            try:
                if not _COMPARE[type(sign)](left, right):
                    return False
            except TypeError:
                return _UNKNOWN
            left = right
        return True

    def _call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Attribute) or node.func.attr != "startswith" or len(node.args) != 1:
            return _UNKNOWN
        value, start = self._value(node.func.value), self._value(node.args[0])
        return value.startswith(start) if isinstance(value, str) and isinstance(start, str | tuple) else _UNKNOWN


def is_type_checking(test: ast.expr) -> bool:
    """Say whether a condition is there for type checkers only."""
    if isinstance(test, ast.BoolOp):  # `TYPE_CHECKING or SLOW_IMPORT` is how lazy packages spell it
        return any(is_type_checking(value) for value in test.values)
    if isinstance(test, ast.Constant):
        return not test.value
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return bool(name == "TYPE_CHECKING")


def literal_constants(tree: ast.Module, declared: frozenset[str]) -> dict[str, object]:
    """Return the module-level names that one statement binds, once, to a literal number, text or truth value.

    `declared` are names that functions may bind.
    """
    values: dict[str, object] = {}
    seen: dict[str, int] = dict.fromkeys(declared, 2)
    pending: list[ast.AST] = list(tree.body)
    top = {id(node) for node in tree.body}
    while pending:
        node = pending.pop()
        for name in _binds(node):
            seen[name] = seen.get(name, 0) + 1
        if isinstance(node, ast.Assign | ast.AnnAssign) and id(node) in top and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            values |= {target.id: node.value.value for target in targets if isinstance(target, ast.Name)}
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending.extend(children(node))
    return {name: value for name, value in values.items() if seen.get(name) == 1}


def names_declared_global(tree: ast.Module) -> frozenset[str]:
    """Return the module-level names that functions may bind."""
    return frozenset(name for node in walk(tree) if isinstance(node, ast.Global) for name in node.names)


def _binds(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.alias):
        return [node.asname or node.name.partition(".")[0]]
    name = getattr(node, "name", None) or getattr(node, "rest", None)  # an except clause, a pattern
    return [name] if isinstance(name, str) else []
