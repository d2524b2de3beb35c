"""Decides which names a module-level `__getattr__` answers for, where its text says so plainly."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """`names` is None where it may answer for any; `calls`: it calls something, which may import a submodule."""

    names: frozenset[str] | None = None
    calls: bool = True


def served_names(tree: ast.Module) -> Served:
    """Return the names that `__getattr__` compares its argument with, where that is all it does.

    Plain means: a row of `if name == "x":` or `if name in ("x", "y"):`, and a `raise` at the end.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__" and node.args.args:
            return Served(_compared(node.body, node.args.args[0].arg), _calls(node))
    return Served()


def _calls(function: ast.FunctionDef) -> bool:
    raised = {id(node.exc) for node in ast.walk(function) if isinstance(node, ast.Raise)}
    return any(
        isinstance(node, ast.Import | ast.ImportFrom) or (isinstance(node, ast.Call) and id(node) not in raised)
        for node in ast.walk(function)
    )


def _compared(body: list[ast.stmt], argument: str) -> frozenset[str] | None:
    names: frozenset[str] = frozenset()
    *tests, last = body
    if not isinstance(last, ast.Raise):
        return None
    for node in tests:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if not isinstance(node, ast.If) or node.orelse:
            return None
        found = _literals(node.test, argument)
        if found is None:
            return None
        names |= found
    return names


def _literals(test: ast.expr, argument: str) -> frozenset[str] | None:
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    if not isinstance(test.left, ast.Name) or test.left.id != argument:
        return None
    other = test.comparators[0]
    if isinstance(test.ops[0], ast.Eq):
        items = [other]
    elif isinstance(test.ops[0], ast.In) and isinstance(other, ast.List | ast.Tuple | ast.Set):
        items = other.elts
    else:
        return None
    names = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return frozenset(names) if len(names) == len(items) else None
