"""Decides which modules a call imports by a name that is written out: `import_module("a.b")`, `__import__("a.b")`."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.records import ImportSite
from stages._source.walking import children, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.syntax.imports.program import Chain

_BY_NAME = (
    late(rb"import_module\s*(?:\(\s*[\"']|(?<=\s)as\b)"),
    late(rb"__import__\s*\(\s*[\"']"),
)  # two that begin with plain bytes: CPython looks for these at once
_DUNDER_IMPORT = ("__import__",)


def may_import_by_name(text: bytes) -> bool:
    """Say whether a text has a call that imports a module by a name written as text."""
    return any(pattern.search(text) is not None for pattern in _BY_NAME)


@dataclass(frozen=True, slots=True)
class NamedImport:
    """One call. `scope` is the qualified name of the functions and classes around it, `lazy`: a function is one."""

    site: ImportSite
    scope: str
    lazy: bool


@dataclass(frozen=True, slots=True)
class Called:
    """What a call asks for. `base` is where leading dots start: a name, `__package__` or `__name__`."""

    name: str
    level: int
    base: str
    whole: bool  # the result is the module itself, not the package at the top


def importers(tree: ast.AST) -> frozenset[Chain]:
    """Return the expressions by which a module may call `importlib.import_module`, and `__import__`."""
    found: set[Chain] = {_DUNDER_IMPORT}
    for node in walk(tree):
        if isinstance(node, ast.Import):
            names = (alias.asname or "importlib" for alias in node.names if alias.name == "importlib")
            found |= {(name, "import_module") for name in names}
            if any(alias.name.startswith("importlib.") and not alias.asname for alias in node.names):
                found.add(("importlib", "import_module"))
        elif isinstance(node, ast.ImportFrom) and node.module == "importlib" and not node.level:
            names = (alias.asname or alias.name for alias in node.names if alias.name == "import_module")
            found |= {(name,) for name in names}
    return frozenset(found)


def called_import(node: ast.Call, chain: Chain, known: frozenset[Chain]) -> Called | None:
    """Return what a call of `chain` imports; None where it imports nothing, or nothing that is written out."""
    if chain not in known or not node.args or not isinstance(node.args[0], ast.Constant):
        return None
    text = node.args[0].value
    if not isinstance(text, str) or not text.strip("."):
        return None
    keywords = {item.arg: item.value for item in node.keywords}
    name = text.lstrip(".")
    level = len(text) - len(name)
    if chain == _DUNDER_IMPORT:
        plain = level == 0 and len(node.args) == 1 and set(keywords) <= {"fromlist"}
        listed = keywords.get("fromlist")
        if not plain or not (listed is None or isinstance(listed, ast.List | ast.Tuple)):
            return None
        return Called(name, 0, "", whole=bool(listed is not None and listed.elts))
    base = _base(node.args[1] if len(node.args) > 1 else keywords.get("package")) if level else ""
    return Called(name, level, base, whole=True) if base or not level else None


def _base(node: ast.expr | None) -> str:
    if isinstance(node, ast.Name) and node.id in {"__package__", "__name__"}:
        return node.id
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def named_imports(tree: ast.Module, *, is_package: bool) -> tuple[NamedImport, ...]:
    """Return every such call of a module, as the import statement that would do the same."""
    known = importers(tree)
    return tuple(_calls(tree, known, "", lazy=False, is_package=is_package))


def _calls(
    node: ast.AST, known: frozenset[Chain], scope: str, *, lazy: bool, is_package: bool
) -> Iterator[NamedImport]:
    pending: list[tuple[ast.AST, str, bool]] = [(node, scope, lazy)]
    while pending:
        item, scope, lazy = pending.pop()
        if isinstance(item, ast.Call) and (called := called_import(item, _chain(item.func), known)):
            site = _site(item.lineno, called, eager=not lazy, is_package=is_package)
            if site is not None:
                yield NamedImport(site, scope, lazy)
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope = f"{scope}.{item.name}" if scope else item.name
        lazy = lazy or isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        pending.extend((child, scope, lazy) for child in children(item))


def _site(line: int, called: Called, *, eager: bool, is_package: bool) -> ImportSite | None:
    if called.base == "__package__" or (called.base == "__name__" and is_package):
        return ImportSite(line, called.name, called.level, None, eager)
    if called.base == "__name__":
        return None  # below a module that is no package there is nothing
    name = absolute_name(called.name, called.level, called.base)
    return ImportSite(line, name, 0, None, eager) if name else None


def absolute_name(name: str, level: int, base: str) -> str:
    """Return what `level` leading dots and a name mean in a package; "" where that is above every package."""
    if not level:
        return name
    parts = base.split(".")
    kept = parts[: len(parts) - level + 1]
    return ".".join([*kept, name]) if kept else ""


def _chain(node: ast.expr) -> Chain:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return (node.value.id, node.attr)
    return ()
