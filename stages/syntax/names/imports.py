"""Decides what a syntax tree imports, for Pythons whose bytecode is not read; the same sites as from bytecode."""

from __future__ import annotations

import ast

from stages._source.records import ImportSite
from stages.syntax.names.reach import Reach, constant


def sites(tree: ast.Module) -> tuple[ImportSite, ...]:
    """Return every import statement that Python compiles, in source order."""
    found: list[ImportSite] = []
    _collect(tree.body, found, Reach(), eager=True)
    return tuple(dict.fromkeys(sorted(found, key=lambda site: site.line)))


def own_submodules(tree: ast.Module, path: str) -> frozenset[str]:
    """Return what imports in a package's own `__init__.py` bind besides their names: submodules become attributes."""
    *folders, file = path.split("/")
    if not file.startswith("__init__."):
        return frozenset()
    found = set()
    for site in sites(tree):
        parts = site.module.split(".")
        if site.level == 1:
            found.add(parts[0])
        elif site.level == 0:
            below = (parts[i] for i in range(1, len(parts)) if parts[:i] == folders[-i:])
            found.update(below)
    return frozenset(found - {""})


def _collect(body: list[ast.stmt], found: list[ImportSite], reach: Reach, *, eager: bool) -> None:
    for node in body:
        if isinstance(node, ast.Import):
            found += [ImportSite(node.lineno, alias.name, 0, None, eager) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            found.append(ImportSite(node.lineno, node.module or "", node.level, names, eager))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _collect(node.body, found, reach, eager=False)
        else:
            for block in _blocks(node, reach):
                _collect(block, found, reach, eager=eager)
        if not reach.goes_on(node):
            return  # what follows is never compiled


def _blocks(node: ast.stmt, reach: Reach) -> list[list[ast.stmt]]:
    if isinstance(node, ast.If | ast.While) and (always := constant(node.test)) is not None:
        return [node.body if always else node.orelse]
    if isinstance(node, ast.Try) and not reach.falls_through(node.body):
        return [node.body, *(handler.body for handler in node.handlers), node.finalbody]
    found: list[list[ast.stmt]] = []
    for name in ("body", "handlers", "cases", "orelse", "finalbody"):
        parts = getattr(node, name, [])
        inner = [part.body for part in parts if isinstance(part, ast.ExceptHandler | ast.match_case)]
        found += inner or [parts]
    return found
