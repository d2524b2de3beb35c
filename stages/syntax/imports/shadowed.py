"""Decides which project modules would really replace a module of the standard library (IMP006)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.api import Finding, Location, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stages._source.environment import Interpreter
    from stages._source.records import FileScan
    from stages.syntax.imports.layout import Layout

# loaded while the interpreter starts, before any folder of the project is on the path
_LOADED_AT_START = frozenset({"encodings", "codecs", "io", "abc", "site", "os", "stat", "posixpath", "ntpath"})
_NO_MODULES = frozenset({"test", "tests", "this", "antigravity"})  # nobody means the standard library's


def shadowing_modules(
    layout: Layout, interpreter: Interpreter, scans: Mapping[str, FileScan], name_of: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Return a finding for every top-level module on a source root that is called like a standard one."""
    candidates: dict[str, str] = {}
    for path, name in name_of.items():
        if _replaces(name, interpreter) and _on_source_root(layout, path):
            candidates[name] = path
    if not candidates:
        return ()
    users = _users(scans, candidates)
    return tuple(_finding(name, path, users.get(name, [])) for name, path in sorted(candidates.items()))


def _replaces(name: str, interpreter: Interpreter) -> bool:
    if name not in interpreter.standard or name.startswith("_"):
        return False
    return name not in interpreter.builtin | interpreter.frozen | _LOADED_AT_START | _NO_MODULES


def _on_source_root(layout: Layout, path: str) -> bool:
    file = layout.absolute(path)
    folder = file.rpartition("/")[0]
    if file.endswith("/__init__.py"):
        folder = folder.rpartition("/")[0]
    return folder in layout.roots


def _users(scans: Mapping[str, FileScan], candidates: Iterable[str]) -> dict[str, list[Location]]:
    users: dict[str, list[Location]] = {}
    wanted = frozenset(candidates)
    for path, scan in sorted(scans.items()):
        for site in scan.imports:
            top = site.module.partition(".")[0]
            if site.level == 0 and top in wanted:
                users.setdefault(top, []).append(Location(path=path, line=site.line))
    return users


def _finding(name: str, path: str, users: list[Location]) -> Finding:
    return Finding(
        rule="IMP006",
        severity=Severity.LOW,
        message=f"{path} is called like the standard module '{name}' and replaces it for everything run here",
        location=Location(path=path),
        symbol=name,
        related=tuple(Related(location=user, message=f"'{name}' means this file here") for user in users[:20]),
        why="The project's folder comes before the standard library on the import path, for installed packages too.",
        impact=f"Any library that imports '{name}' gets this file instead.",
        remediation=f"Rename {path}.",
    )
