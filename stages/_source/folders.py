"""Decides what a folder offers to Python's import system, by its file names alone; every folder is listed once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from verifier.api import to_list

# what CPython loads on any platform we may see, longest first; a file of another platform is compiled all the same
COMPILED = (".so", ".pyd", ".dylib", ".dll")

_INITIALISERS = frozenset({"__init__.pyc", "__init__.pyi"})  # of a package whose source is not there


@dataclass(frozen=True, slots=True)
class Found:
    """A module as the path finder would find it. `folders` is where its submodules are looked up."""

    name: str
    kind: Literal["module", "package", "namespace", "compiled"]
    file: str | None
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in one folder. `compiled` are stems of extension modules (`_C` for `_C.cpython-311-x.so`)."""

    files: frozenset[str]
    folders: frozenset[str]
    compiled: frozenset[str]


_EMPTY = Listing(frozenset(), frozenset(), frozenset())


class FolderIndex:
    """Folder listings, kept: thousands of look-ups touch a few hundred folders."""

    def __init__(self) -> None:
        self._listings: dict[str, Listing] = {}
        self._python: dict[str, bool] = {}

    def listing(self, folder: str) -> Listing:
        known = self._listings.get(folder)
        if known is None:
            known = self._listings[folder] = _list(folder)
        return known

    def child(self, name: str, parent: str, folders: tuple[str, ...]) -> Found | None:
        """Find `parent.name` (or the top-level `name`) in the given folders, in CPython's order."""
        dotted = f"{parent}.{name}" if parent else name
        portions = []
        stub = False
        for folder in folders:
            listing = self.listing(folder)
            path = f"{folder}/{name}"
            if name in listing.folders:
                inside = self.listing(path)
                if "__init__.py" in inside.files:
                    return Found(dotted, "package", f"{path}/__init__.py", (path,))
                if "__init__" in inside.compiled or not inside.files.isdisjoint(_INITIALISERS):
                    return Found(dotted, "compiled", None, (path,))
            if name in listing.compiled:
                return Found(dotted, "compiled", None)
            if f"{name}.py" in listing.files:
                return Found(dotted, "module", f"{path}.py")
            if f"{name}.pyc" in listing.files:
                return Found(dotted, "compiled", None)
            if name in listing.folders:
                portions.append(path)
            # a stub with no source beside it is that of a module which a build makes
            stub = stub or f"{name}.pyi" in listing.files
        if stub and not portions:
            return Found(dotted, "compiled", None)
        return Found(dotted, "namespace", None, tuple(portions)) if portions else None

    def holds_python(self, folder: str, depth: int = 5) -> bool:
        """Say whether any Python file lies in the folder or some levels below it."""
        known = self._python.get(folder)
        if known is None:
            listing = self.listing(folder)
            known = any(name.endswith((".py", ".pyi")) for name in listing.files) or bool(listing.compiled)
            if not known and depth:
                below = sorted(name for name in listing.folders if not name.startswith("."))
                known = any(self.holds_python(f"{folder}/{name}", depth - 1) for name in below)
            self._python[folder] = known
        return known


def _list(folder: str) -> Listing:
    files, folders, compiled = set(), set(), set()
    to_list(folder)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.add(entry.name)
                elif entry.is_file():
                    files.add(entry.name)
                    if entry.name.endswith(COMPILED):
                        compiled.add(entry.name.split(".", 1)[0])
    except OSError:  # unreadable or gone: nothing can be imported from it
        return _EMPTY
    return Listing(frozenset(files), frozenset(folders), frozenset(compiled))
