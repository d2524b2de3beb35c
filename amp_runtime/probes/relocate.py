"""Make names of the project mean its working copy, also where an editable install points to the user's own tree."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_PRIVATE_NAME = __name__.partition(".")[0]
_USUAL = (importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter, importlib.machinery.PathFinder)


class Relocation:
    """Where the project stands for the user, and where its copy stands."""

    def __init__(self, origin: str, copy: str) -> None:
        self.origin = os.path.realpath(origin)
        self._copy = os.path.realpath(copy)
        self._in_order: dict[str, ModuleType] = {}  # what was loaded at the start and is no stray

    def moved(self, path: str) -> str:
        """Return the place in the copy of a file or folder of the user's tree; any other path as it is."""
        if self.origin == self._copy or not self._is_the_users(path):
            return path
        there = os.path.join(self._copy, os.path.relpath(os.path.realpath(path), self.origin))
        return os.path.normpath(there) if os.path.lexists(there) and not os.path.islink(there) else path

    def _is_the_users(self, path: str) -> bool:
        full = os.path.realpath(path)
        return _below(full, self.origin) and not _below(full, self._copy)

    def install(self) -> None:
        """Redirect what this process has of the user's tree: search paths, finders, modules loaded at its start."""
        kept: list[str] = []
        for entry in map(self.moved, sys.path):
            if entry not in kept:
                kept.append(entry)
        self._tell_programs(kept)
        sys.path[:] = kept
        sys.meta_path[:] = [finder if finder in _USUAL else _Redirected(finder, self) for finder in sys.meta_path]
        for name in self.strays():
            del sys.modules[name]
        self._in_order = dict(sys.modules)

    def _tell_programs(self, paths: Sequence[str]) -> None:
        """Let Python programs that the project starts find the copy, not the tree that an editable install names."""
        installed = [path for path in paths if path not in sys.path]
        if installed:
            os.environ["PYTHONPATH"] = os.pathsep.join(installed)

    def strays(self) -> dict[str, str]:
        """Return loaded modules, and their files, that come from the user's tree although the copy has them."""
        found = {}
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == _PRIVATE_NAME or self._in_order.get(name) is module:
                continue
            with contextlib.suppress(Exception):  # a module may be any object
                file = getattr(module, "__file__", None)
                if type(file) is str and self.origin in file and self.moved(file) != file:
                    found[name] = file
        return found


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class _Redirected:
    """A finder whose answers in the user's tree are moved to the copy."""

    def __init__(self, finder: Any, relocation: Relocation) -> None:
        self._finder = finder
        self._relocation = relocation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec: importlib.machinery.ModuleSpec | None = self._finder.find_spec(fullname, path, target)
        return None if spec is None else self._redirected(spec)

    def _redirected(self, spec: importlib.machinery.ModuleSpec) -> importlib.machinery.ModuleSpec:
        moved = self._relocation.moved
        folders = spec.submodule_search_locations
        places = None if folders is None else [moved(place) for place in folders]
        if isinstance(spec.origin, str) and moved(spec.origin) != spec.origin:
            found = importlib.util.spec_from_file_location(
                spec.name, moved(spec.origin), submodule_search_locations=places
            )
            return spec if found is None else found
        if places is not None and places != list(folders or ()):
            spec.submodule_search_locations = places
        return spec
