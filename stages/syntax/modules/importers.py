"""Decides who imports a module: every file of the project that names it, or something in it, in an import."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.parsing import parse
from stages._source.program.scopes import Scope, absolute_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stages._source.program.project import Project
    from verifier.api import Json, SourceFile


def importers_of(project: Project, files: Mapping[str, SourceFile], wanted: Sequence[str]) -> dict[str, list[Json]]:
    """Return, for each wanted path, the places that import it. Files whose text does not name it are not parsed."""
    found: dict[str, list[Json]] = {path: [] for path in wanted}
    words = {path: project.dotted(path).rpartition(".")[2].encode() for path in wanted}
    for path, file in sorted(files.items()):
        data = file.data or b""
        named = [target for target, word in words.items() if target != path and word in data]
        tree = parse(file) if named else None
        if tree is None:
            continue
        seen = set()
        for line, dotted in _imported(tree, project.dotted(path), is_package=path.endswith("__init__.py")):
            target = project.path_of(dotted)
            if target in found and target != path and (target, line) not in seen:
                seen.add((target, line))
                found[target].append({"path": path, "line": line})
    return found


def _imported(tree: ast.Module, name: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield the dotted names that a file imports, each with its line; of `from a import b` both `a.b` and `a`."""
    scope = Scope(tree, None, "", module=name, is_package=is_package)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_module(node, scope)
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
