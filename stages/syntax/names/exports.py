"""Decides whether `__all__` names something that the module does not have."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages.syntax.names.resolve import MODULE_NAMES
from stages.syntax.names.scopes import How
from verifier.api import Evidence, Finding, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.syntax.names.namespace import Namespace
    from stages.syntax.names.report import Places
    from stages.syntax.names.scopes import Names


def missing(tree: ast.Module, names: Names, space: Namespace, places: Places, path: str) -> list[Finding]:
    """Return one finding for the entries that `from module import *` cannot deliver; none where that is not certain."""
    if space.replaced or names.stars or PurePosixPath(path).name == "__init__.py":
        return []  # in a package an entry may be a submodule: judged where the project's modules are known
    if "__getattr__" in names.module.bindings:
        return []
    bound = {
        name
        for name, bindings in names.module.bindings.items()
        if any(b.how not in (How.DECLARED, How.DELETED) for b in bindings)  # for type checkers only will do
    }
    known = bound | MODULE_NAMES | space.added
    entries: dict[str, ast.Constant] = {}
    for entry in _entries(tree):
        if isinstance(entry.value, str) and entry.value not in known:
            entries.setdefault(entry.value, entry)
    return [_finding(entries, places)] if entries else []


def _entries(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in _module_statements(tree.body):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            yield from _strings(node.value)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None:
            yield from _strings(node.value) if getattr(node.target, "id", "") == "__all__" else ()


def _module_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            for part in (node.body, node.orelse, getattr(node, "finalbody", [])):
                yield from _module_statements(part)


def _strings(node: ast.expr) -> Iterator[ast.Constant]:
    if isinstance(node, ast.List | ast.Tuple):
        for element in node.elts:
            if isinstance(element, ast.Constant):
                yield element
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _strings(node.left)
        yield from _strings(node.right)


def _finding(entries: dict[str, ast.Constant], places: Places) -> Finding:
    first, *others = entries
    entry = entries[first]
    named = ", ".join(f"`{name}`" for name in entries)
    return Finding(
        rule="SCP001",
        severity=Severity.CRITICAL,
        message=f"`__all__` names {named}, which this module never binds",
        location=places.at(entry.lineno, entry.col_offset),
        symbol=first,
        related=tuple(
            Related(location=places.at(entries[name].lineno, entries[name].col_offset), message=f"and {name!r} here")
            for name in others
        ),
        evidence=(Evidence(kind="source", summary=f"line {entry.lineno} lists {first!r} in `__all__`"),),
        why="A star import asks the module for every name in `__all__`.",
        impact="`from` this module `import *` raises AttributeError.",
        remediation=f"Remove {named} from `__all__`, or define what is missing.",
    )
