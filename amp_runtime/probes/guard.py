"""Decide what the names of our own packages mean to the verified code: its own folders, never our installation."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

ALWAYS_HIDDEN = frozenset({"stages", "reports"})
HIDDEN_WHERE_THE_PROJECT_HAS_ITS_OWN = frozenset(
    {"verifier", "amp_runtime"}
)  # else they are a dependency like any other


class Guard(importlib.abc.MetaPathFinder):
    """Answers for the guarded names as if our installation were not there."""

    def __init__(self, names: frozenset[str], installation: str) -> None:
        self._names = names
        self._installation = os.path.realpath(installation)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names:
            return None
        elsewhere = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != self._installation]
        spec = importlib.machinery.PathFinder.find_spec(fullname, elsewhere, target)
        if spec is None:
            spec = self._ask_the_others(fullname, path, target)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return spec

    def _ask_the_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        """Ask finders of editable installs, which know places that are not on sys.path."""
        usual = (
            importlib.machinery.BuiltinImporter,
            importlib.machinery.FrozenImporter,
            importlib.machinery.PathFinder,
        )
        for finder in sys.meta_path:
            if finder is self or finder in usual or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and not self._is_ours(spec):
                return spec
        return None

    def _is_ours(self, spec: importlib.machinery.ModuleSpec) -> bool:
        places = [spec.origin or "", *(spec.submodule_search_locations or ())]
        return any(os.path.realpath(place).startswith(self._installation + os.sep) for place in places if place)


def install(root: str, installation: str, paths: Iterable[str]) -> None:
    """Put the guard first on the meta path, unless the project under verification is our installation itself."""
    inside = os.path.realpath(installation) + os.sep
    if inside.startswith(os.path.realpath(root) + os.sep):
        return
    own = {name for name in HIDDEN_WHERE_THE_PROJECT_HAS_ITS_OWN if any(provides(path, name) for path in paths)}
    names = ALWAYS_HIDDEN | own
    for loaded in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[loaded]
    sys.meta_path.insert(0, Guard(frozenset(names), installation))


def provides(path: str, name: str) -> bool:
    """Say whether a folder of `sys.path` has a module or package of that name."""
    return os.path.isdir(os.path.join(path, name)) or os.path.isfile(os.path.join(path, f"{name}.py"))
