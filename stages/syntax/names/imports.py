"""Decides what a syntax tree imports, for Pythons whose bytecode is not read; the same sites as from bytecode."""

from __future__ import annotations

import ast

from stages._source.records import ImportSite


def sites(tree: ast.Module) -> tuple[ImportSite, ...]:
    """Return every import statement that Python compiles, in source order."""
    found: list[ImportSite] = []
    _collect(tree.body, found, eager=True)
    return tuple(sorted(found, key=lambda site: site.line))


def _collect(body: list[ast.stmt], found: list[ImportSite], *, eager: bool) -> None:
    for node in body:
        if isinstance(node, ast.Import):
            found += [ImportSite(node.lineno, alias.name, 0, None, eager) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            found.append(ImportSite(node.lineno, node.module or "", node.level, names, eager))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _collect(node.body, found, eager=False)
        else:
            _collect(_inside(node), found, eager=eager)
        if isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break):
            return  # what follows is never compiled


def _inside(node: ast.stmt) -> list[ast.stmt]:
    if isinstance(node, ast.If | ast.While) and isinstance(node.test, ast.Constant):
        return node.body if node.test.value else node.orelse
    blocks = [getattr(node, name, []) for name in ("body", "handlers", "orelse", "finalbody", "cases")]
    inside: list[ast.stmt] = []
    for block in blocks:
        for part in block:
            inside += part.body if isinstance(part, ast.ExceptHandler | ast.match_case) else [part]
    return inside
