"""Compile the project's files once, so that the many processes that import them need not each do it again."""

from __future__ import annotations

import warnings
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType

    Compiled = dict[str, tuple[bytes, CodeType]]

_get_code, _to_code = SourceFileLoader.get_code, SourceFileLoader.source_to_code


def share(paths: Iterable[str]) -> None:
    """Let imports in this process, and in what is forked from it, take the code of these files from memory.

    A file is read all the same, and its code is taken only where it still holds the bytes that were compiled: so
    importing it means what it always means. Whatever warns, or does not compile, is left to the import itself, and so
    are files that the project loads, or compiles, in a way of its own.
    """
    compiled: Compiled = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in paths:
            _add(path, compiled)
    if not compiled:
        return

    def get_code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
        if type(loader) is SourceFileLoader and SourceFileLoader.source_to_code is _to_code:
            known = compiled.get(loader.get_filename(fullname))
            if known is not None and loader.get_data(loader.path) == known[0]:
                return known[1]
        return _get_code(loader, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[assignment,method-assign]


def _add(path: str, compiled: Compiled) -> None:
    try:
        with open(path, "rb") as file:
            source = file.read()
        compiled[path] = source, compile(source, path, "exec", dont_inherit=True)
    except Exception:  # the import will say what is wrong with it
        return
