"""Decides the one dotted name by which each project file is called, of the several it may be imported under."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stages.syntax.imports.layout import Layout


class ModuleNames:
    """File -> (dotted name, import path folder it counts from). Files that no import can name are called by path."""

    def __init__(self, layout: Layout, paths: Iterable[str], used: Mapping[str, Iterable[str]]) -> None:
        self._layout = layout
        self._roots_used: dict[str, set[str]] = {}
        for file, names in used.items():
            for name in names:
                self._note(file, name)
        self._names: dict[str, tuple[str, str | None]] = {}
        taken: dict[str, str] = {}
        for path in sorted(paths):
            name, root = self._name(path)
            if name in taken:  # two scripts called alike, in folders that are both import paths
                name, root = self._by_path(path)
            taken[name] = path
            self._names[path] = (name, root)

    def of(self, path: str) -> str:
        """Return a file's name; its path where it can have none."""
        known = self._names.get(path)
        return known[0] if known else self._name(path)[0]

    def paths(self) -> tuple[str, ...]:
        return tuple(self._names)

    def search_path(self, path: str) -> tuple[str, ...] | None:
        """Return the import path on which the file has its name; None where no import can name it."""
        root = self._names[path][1]
        if root is None:
            return None
        search = self._layout.search_path(path)
        file = self._layout.absolute(path)
        for order in ((*search, root), (root, *search)):
            found = self._layout.find(self._names[path][0], tuple(dict.fromkeys(order)))
            if found is not None and found.file == file:
                return tuple(dict.fromkeys(order))
        return None

    def _note(self, file: str, name: str) -> None:
        place = file.removesuffix("/__init__.py").removesuffix(".py")
        ending = "/" + name.replace(".", "/")
        if place.endswith(ending):
            folder = file.rpartition("/")[0]
            self._roots_used.setdefault(folder, set()).add(place.removesuffix(ending))

    def _name(self, path: str) -> tuple[str, str | None]:
        file = self._layout.absolute(path)
        folder = file.rpartition("/")[0]
        local = self._layout.local_root(folder)
        used = self._used_roots(folder, local)
        declared = [root for root in self._layout.roots if file.startswith(f"{root}/")]
        deepest = max(declared, key=len) if declared else local
        beyond = [root for root in used if len(root) >= len(deepest)] or used
        for root in [*sorted(beyond, key=len), deepest, local]:
            if name := _dotted(file, root):
                return name, root
        return path, None

    def _used_roots(self, folder: str, local: str) -> list[str]:
        """Return the import paths under which files of this folder, or of the package it is in, are imported."""
        while folder.startswith(self._layout.root):
            if folder in self._roots_used:
                return sorted(self._roots_used[folder])
            if folder == local:
                break
            folder = folder.rpartition("/")[0]
        return []

    def _by_path(self, path: str) -> tuple[str, str | None]:
        name = _dotted(self._layout.absolute(path), self._layout.root)
        return (name, self._layout.root) if name else (path, None)


def _dotted(file: str, root: str) -> str:
    """Return the dotted name of a file below an import path folder; "" where some part is no identifier."""
    if not file.startswith(f"{root}/"):
        return ""
    parts = file[len(root) + 1 :].removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else ""
