"""Decides the coarse facts of a module from its syntax tree, for files that the fast pass did not read."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.records import FileScan, ImportSite
from stages._source.walking import walk
from stages.syntax.names.scopes import mangled

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMESPACE_CALLS = frozenset({"globals", "vars", "locals", "exec", "eval", "setattr"})


def scan_tree(path: str, tree: ast.Module | None) -> FileScan:
    """Return imports, module-level bindings and whether the namespace may hold unseen names.

    A module without a tree could not be read: its namespace is unknown, which is what `dynamic` says.
    """
    if tree is None:
        return FileScan(path, dynamic=True)
    collector = _Collector()
    collector.block(tree.body, eager=True, top=True)
    dynamic = is_dynamic(tree) or "__getattr__" in collector.bindings
    return FileScan(path, imports=tuple(collector.sites), bindings=frozenset(collector.bindings), dynamic=dynamic)


class _Collector:
    def __init__(self) -> None:
        self.sites: list[ImportSite] = []
        self.bindings: set[str] = set()
        self.class_name: str | None = None

    def block(self, body: list[ast.stmt], *, eager: bool, top: bool) -> None:
        for node in body:
            self.statement(node, eager=eager, top=top)

    def statement(self, node: ast.stmt, *, eager: bool, top: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if top:
                self.bindings.add(node.name)
            outer = self.class_name
            self.class_name = node.name if isinstance(node, ast.ClassDef) else outer
            self.block(node.body, eager=eager and isinstance(node, ast.ClassDef), top=False)
            self.class_name = outer
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.sites.append(ImportSite(node.lineno, self.mangled(alias.name), 0, None, eager))
                if top:
                    self.bindings.add(alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            names = tuple(self.mangled(alias.name) for alias in node.names)
            self.sites.append(ImportSite(node.lineno, self.mangled(node.module or ""), node.level, names, eager))
            if top:
                self.bindings |= {alias.asname or alias.name for alias in node.names} - {"*"}
        elif isinstance(node, ast.Global):
            self.bindings |= set(node.names)
        if top:
            self.bindings |= set(_names_bound(node))
        for body in _blocks(node):
            self.block(body, eager=eager, top=top)

    def mangled(self, name: str) -> str:
        """Return a name as Python looks it up: inside a class even the name of a private module is changed."""
        return mangled(name, self.class_name)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        inner = getattr(node, field, None)
        if isinstance(inner, list):
            yield inner
    for handler in getattr(node, "handlers", ()):
        yield handler.body
    for case in getattr(node, "cases", ()):
        yield case.body


def _names_bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names a statement binds itself, not those of the blocks within it."""
    stack: list[ast.AST] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            yield item.id
        elif isinstance(item, ast.MatchAs | ast.MatchStar) and item.name:
            yield item.name
        elif isinstance(item, ast.MatchMapping) and item.rest:
            yield item.rest
        elif isinstance(item, ast.ExceptHandler) and item.name:
            yield item.name
        if isinstance(item, ast.comprehension):  # its target stays inside
            stack += [item.iter, *item.ifs]
        elif not isinstance(item, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            stack += [child for child in ast.iter_child_nodes(item) if not isinstance(child, ast.stmt)]


def is_dynamic(tree: ast.Module) -> bool:
    """Say whether code may put names into the module's namespace that no statement shows."""
    if any(_writes_names(node) for node in walk(tree)):
        return True
    return any(
        isinstance(node, ast.Name) and node.id in _NAMESPACE_CALLS | {"__path__"}
        for statement in tree.body
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for node in walk(statement)
    )


def _writes_names(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"globals", "exec"}
    if not isinstance(node, ast.Attribute) or node.attr != "modules":
        return False
    return isinstance(node.value, ast.Name) and node.value.id == "sys"
