"""The source lines around findings, for the formats that people read: a file is split when one of them looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from verifier.notebooks.file import NotebookFile

if TYPE_CHECKING:
    from verifier.model.finding import Location
    from verifier.sources import SourceTree

_CONTEXT_LINES = 2


class Snippets(Mapping[tuple[str, int], str]):
    """(path, line) -> text, for every place and the lines around it."""

    def __init__(self, places: Iterable[Location], sources: SourceTree) -> None:
        self._sources = sources
        self._around: dict[str, set[int]] = {}
        for place in places:
            self._around.setdefault(place.path, set()).add(place.line)
        self._known: dict[str, dict[int, str]] = {}

    def __getitem__(self, key: tuple[str, int]) -> str:
        path, line = key
        return self._of(path)[line]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for path in sorted(self._around):
            for line in self._of(path):
                yield path, line

    def __len__(self) -> int:
        return sum(len(self._of(path)) for path in self._around)

    def _of(self, path: str) -> dict[int, str]:
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]

    def _read(self, path: str) -> dict[int, str]:
        file = self._sources.get(path) if path in self._around else None
        if file is None:
            return {}
        text = file.text_lines
        lines = {
            number
            for line in self._around[path]
            for number in range(max(1, line - _CONTEXT_LINES), min(len(text), line + _CONTEXT_LINES) + 1)
        }
        if isinstance(file, NotebookFile):  # what stands around a cell is the JSON of the notebook
            lines = {number for number in lines if file.holds(number)}
        return {number: text[number - 1] for number in sorted(lines)}
