"""Decides how hard a module is to keep: its size, complexity, coverage of types and docstrings, untyped settings."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function, parameters
from stages._source.walking import walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stages._source.program.project import Module
    from verifier.api import Json

_SHOWN = 5  # functions, the most complex first
_MANY = 3  # settings read by `getattr` with a default before they are shown


def maintainability(module: Module) -> dict[str, Json]:
    nodes = walk(module.tree)
    functions = [node for node in nodes if isinstance(node, Function)]
    complexity = sorted(_complexity(module.tree), key=lambda row: (-row[2], row[1]))
    longest = max(functions, key=_length, default=None)
    public = [node for node in nodes if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")]
    slots = [_slots(node, node in _methods(nodes)) for node in functions]
    return {
        **_lines(module.lines),
        "functions": len(functions),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "longest": None
        if longest is None
        else {"name": longest.name, "line": longest.lineno, "lines": _length(longest)},
        "complexity": [{"name": name, "line": line, "complexity": value} for name, line, value in complexity[:_SHOWN]],
        "mean_complexity": round(sum(row[2] for row in complexity) / len(complexity), 1) if complexity else 0.0,
        "annotated": sum(given for given, _ in slots),
        "annotatable": sum(total for _, total in slots),
        "documented": sum(ast.get_docstring(node, clean=False) is not None for node in public),
        "documentable": len(public),
        "configuration_access": _settings(module),
    }


def _complexity(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Yield name, line and cyclomatic complexity (McCabe) of every function, its inner ones counted with it."""
    from radon.complexity import cc_visit_ast  # noqa: PLC0415 - only `verify analyze` needs it
    from radon.visitors import Function as Block  # noqa: PLC0415

    for block in cc_visit_ast(tree):
        if isinstance(block, Block):
            yield block.fullname, block.lineno, block.complexity + sum(item.complexity for item in block.closures)


def _methods(nodes: Sequence[ast.AST]) -> frozenset[ast.AST]:
    return frozenset(item for node in nodes if isinstance(node, ast.ClassDef) for item in node.body)


def _slots(node: ast.FunctionDef | ast.AsyncFunctionDef, method: bool) -> tuple[int, int]:
    """Return how many parameters and results of a function are annotated, and how many there are."""
    given = [argument.annotation for argument, _ in parameters(node)][1 if method else 0 :]
    given.append(node.returns)
    return sum(item is not None for item in given), len(given)


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _lines(lines: Sequence[str]) -> dict[str, Json]:
    blank = sum(not line.strip() for line in lines)
    comments = sum(line.lstrip().startswith("#") for line in lines)
    return {"lines": len(lines), "code": len(lines) - blank - comments, "comments": comments, "blank": blank}


def _settings(module: Module) -> list[Json]:
    """Return parameters of which several settings are read by `getattr` with a default."""
    found: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for seen in module.scopes.calls:
        match seen.node:
            case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=name), ast.Constant(value=str(key)), _]):
                found[seen.label, name].setdefault(key, seen.node.lineno)
    return [
        {"parameter": name, "function": label, "line": min(settings.values()), "settings": list(settings)}
        for (label, name), settings in found.items()
        if len(settings) >= _MANY
    ]
