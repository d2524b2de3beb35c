"""Decides how often a file is parsed: at most once while it is alive, whoever asks."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from stages._source.compiling import collector_paused
from stages._source.depth import usual_depth
from verifier.api import may_differ_next_time

if TYPE_CHECKING:
    from verifier.api import SourceFile

_REFUSALS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


class Trees:
    """Syntax trees by file. An entry lives exactly as long as its file, so a run never sees another run's tree."""

    def __init__(self) -> None:
        self._trees: WeakKeyDictionary[SourceFile, ast.Module | None] = WeakKeyDictionary()

    def parse(self, file: SourceFile) -> ast.Module | None:
        """Return the file's tree, or None where CPython refuses to parse it. Callers must not change the tree."""
        if file not in self._trees:
            self._trees[file] = _parse(file.data, file.path) if file.data is not None else None
        return self._trees[file]

    def give_up(self, file: SourceFile) -> None:
        """Have no tree of a file that was found to be too much to read: nobody shall try again."""
        self._trees[file] = None

    def forget(self, file: SourceFile) -> None:
        """Free the tree of a file that nobody will ask for again."""
        self._trees.pop(file, None)


_SHARED = Trees()


def parse(file: SourceFile) -> ast.Module | None:
    """Return the file's shared tree, or None where CPython refuses to parse it. Callers must not change it."""
    return _SHARED.parse(file)


def give_up(file: SourceFile) -> None:
    """Have no shared tree of a file that was found to be too much to read."""
    _SHARED.give_up(file)


def forget(file: SourceFile) -> None:
    """Free the shared tree of a file."""
    _SHARED.forget(file)


def parse_type(text: str) -> ast.Expression | None:
    """Return the tree of a type written as text, or None where it is no expression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with usual_depth():
                return ast.parse(text.strip(), mode="eval")
        except _REFUSALS:
            return None


def parse_text(text: str) -> ast.Module | None:
    """Return the tree of source text that is no file of the task, or None where CPython refuses to parse it."""
    return _parse(text.encode("utf-8", "replace"), "<text>")


def _parse(data: bytes, path: str) -> ast.Module | None:
    if b"\0" in data:
        return None
    with warnings.catch_warnings(), collector_paused():
        warnings.simplefilter("ignore")
        try:
            with usual_depth():
                return ast.parse(data, path)
        except _REFUSALS as error:
            if isinstance(error, MemoryError):
                may_differ_next_time("there was not enough memory")
            return None
