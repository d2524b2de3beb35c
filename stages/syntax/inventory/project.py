"""Decides under which dotted names the files of a task import each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages.syntax.inventory.scopes import FileScopes, Scope, read_scopes

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """One file of the task, read."""

    path: str
    name: str
    tree: ast.Module
    lines: Sequence[str]
    scopes: FileScopes

    def code(self, line: int) -> str:
        return self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""


@dataclass(slots=True, eq=False)
class Project:
    """The task's files, by every dotted name an import may call them."""

    modules: list[Module]
    by_name: dict[str, Module] = field(default_factory=dict)
    known_origins: dict[tuple[ast.expr, Scope], frozenset[str]] = field(default_factory=dict)
    known_names: dict[str, frozenset[str]] = field(default_factory=dict)
    known_instances: dict[tuple[ast.expr, Scope], list[Scope]] = field(default_factory=dict)
    known_lineage: dict[Scope, list[Scope]] = field(default_factory=dict)
    known_subclasses: dict[Scope, list[Scope]] | None = None

    def split(self, dotted: str) -> tuple[Module, str] | None:
        """Return the file and the rest of a dotted name that goes through a file of the task."""
        parts = dotted.split(".")
        for size in range(len(parts), 0, -1):
            module = self.by_name.get(".".join(parts[:size]))
            if module is not None:
                return module, ".".join(parts[size:])
        return None


def read_project(files: Iterable[tuple[str, ast.Module, list[str]]]) -> Project:
    """Read every file once. Packages are recognised by their `__init__.py` and, without one, by their folder."""
    given = list(files)
    packages = {str(PurePosixPath(path).parent) for path, _, _ in given if path.endswith("__init__.py")}
    project = Project([])
    for path, tree, lines in given:
        name, shorter = _names(path, packages)
        scopes = read_scopes(tree, name, is_package=path.endswith("__init__.py"))
        module = Module(path, name, tree, lines, scopes)
        project.modules.append(module)
        for alias in (name, *shorter):
            project.by_name.setdefault(alias, module)
    return project


def _names(path: str, packages: set[str]) -> tuple[str, list[str]]:
    """Return the dotted name from the root, and the names under which `src` layouts and nested roots import it."""
    pure = PurePosixPath(path)
    parts = list(pure.with_suffix("").parts)
    top = pure.parent
    while str(top) in packages and str(top.parent) in packages:
        top = top.parent
    above = len(top.parts) - 1 if str(top) in packages else len(pure.parent.parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    shorter = [".".join(parts[above:])] if 0 < above < len(parts) else []
    if parts[0] == "src" and len(parts) > 1:
        shorter.append(".".join(parts[1:]))
    return ".".join(parts), shorter
