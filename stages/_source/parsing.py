"""Decides how often a file is parsed: at most once while it is alive, whoever asks."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from stages._source.compiling import collector_paused

if TYPE_CHECKING:
    from verifier.api import SourceFile


class Trees:
    """Syntax trees by file. An entry lives exactly as long as its file, so a run never sees another run's tree."""

    def __init__(self) -> None:
        self._trees: WeakKeyDictionary[SourceFile, ast.Module | None] = WeakKeyDictionary()

    def parse(self, file: SourceFile) -> ast.Module | None:
        """Return the file's tree, or None where CPython refuses to parse it. Callers must not change the tree."""
        if file not in self._trees:
            self._trees[file] = _parse(file.data, file.path)
        return self._trees[file]

    def forget(self, file: SourceFile) -> None:
        """Free the tree of a file that nobody will ask for again."""
        self._trees.pop(file, None)


_SHARED = Trees()


def parse(file: SourceFile) -> ast.Module | None:
    """Return the file's shared tree, or None where CPython refuses to parse it. Callers must not change it."""
    return _SHARED.parse(file)


def forget(file: SourceFile) -> None:
    """Free the shared tree of a file."""
    _SHARED.forget(file)


def _parse(data: bytes | None, path: str) -> ast.Module | None:
    if data is None or b"\0" in data:
        return None
    with warnings.catch_warnings(), collector_paused():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(data, path)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None
