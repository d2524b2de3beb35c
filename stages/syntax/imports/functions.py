"""Decides what calling a function means: which names are its own, and whether its body runs at all."""

from __future__ import annotations

import ast

from stages._source.walking import children, walk

_SUSPENDED = (ast.Yield, ast.YieldFrom, ast.Await)


def own_names(node: ast.FunctionDef) -> frozenset[str]:
    """Return the names that the function, or what it defines, binds."""
    arguments = node.args
    names = {item.arg for item in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
    names |= {item.arg for item in (arguments.vararg, arguments.kwarg) if item}
    for item in walk(node):
        if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load):
            names.add(item.id)
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and item is not node:
            names.add(item.name)
        elif isinstance(item, ast.alias):
            names.add(item.asname or item.name.partition(".")[0])
        elif isinstance(item, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and item.name:
            names.add(item.name)
        elif isinstance(item, ast.arg):
            names.add(item.arg)  # of an inner function: a miss does no harm
    return frozenset(names)


def is_suspended(node: ast.FunctionDef) -> bool:
    """Say whether calling the function runs nothing, because it is a generator."""
    stack: list[ast.AST] = list(node.body)
    while stack:
        item = stack.pop()
        if isinstance(item, _SUSPENDED):
            return True
        if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(children(item))
    return False
