"""Finds by text alone in which files a class may have heirs, so that no other file is read to look for overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLASS = late(rb"class (?<!\wclass )(\w+)\s*\(([^:]*):")
_DEFINED = late(rb"def\s+(\w+)\s*\(")
_WORD = late(rb"\w+")
_RENAMED = late(rb" as (\w+)")
_BOUND = late(rb"\n(\w+) *= *([\w.]+)[ \t]*(?=[\r\n#])")


class Heirs:
    """The classes of some texts by the names of their bases, other names of these included.

    Args:
        texts: the code of each file, by path.
    """

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._below: dict[bytes, set[bytes]] = {}  # name -> names of classes that name it as a base, and aliases
        self._files: dict[bytes, set[str]] = {}  # class -> files that define a class of that name
        self._defining: dict[bytes, dict[str, None]] = {}  # function -> files that define one of that name
        self._known: dict[str, frozenset[str]] = {}
        for path, text in texts.items():
            for name in set(_DEFINED.findall(text)):
                self._defining.setdefault(name, {})[path] = None
            for match in _CLASS.finditer(text):
                self._files.setdefault(match[1], set()).add(path)
                for base in _WORD.findall(match[2]):
                    self._below.setdefault(base, set()).add(match[1])
            for match in _RENAMED.finditer(text):
                self._add_alias(_word_before(text, match.start()), match[1])
            for match in _BOUND.finditer(text):
                self._add_alias(match[2].rpartition(b".")[2], match[1])

    def _add_alias(self, name: bytes, alias: bytes) -> None:
        self._below.setdefault(name, set()).add(alias)

    def files_with(self, name: str, method: str) -> list[str]:
        """Return those of the files below a class that define a function of the name of a method."""
        if name not in self._known:
            self._known[name] = self.files(name)
        return [path for path in self._defining.get(method.encode(), ()) if path in self._known[name]]

    def files(self, name: str) -> frozenset[str]:
        """Return the files that may define a class which derives from one of that name, directly or not."""
        pending = [name.encode()]
        met = set(pending)
        for item in pending:  # grows while it is walked
            more = self._below.get(item, set()) - met
            met |= more
            pending += more
        return frozenset().union(*(self._files.get(item, ()) for item in pending[1:]))


def _word_before(text: bytes, end: int) -> bytes:
    start = end
    while start > 0 and (text[start - 1 : start].isalnum() or text[start - 1] == ord("_")):
        start -= 1
    return text[start:end]
