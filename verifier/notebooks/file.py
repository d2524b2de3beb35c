"""A notebook as a source file: its data is the Python of its cells, each line on the line where the file has it."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

from verifier.notebooks.model import NotebookError
from verifier.sources import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from verifier.notebooks.magics import CellCode
    from verifier.notebooks.model import Notebook


class NotebookFile(SourceFile):
    """A notebook. `notebook` is None where it could not be read; `refusal` then says why, if its bytes could.

    Its `data` is Python text: line 120 of it is what line 120 of the file holds of a cell, magics left out, and
    lines that belong to no code cell are empty. A notebook for another language is no Python.
    """

    def __init__(self, path: str, absolute: Path, *, named: bool = False) -> None:
        super().__init__(path, absolute, named=named)
        self.notebook: Notebook | None = None
        self.refusal: NotebookError | None = None
        self.left_out: frozenset[int] = frozenset()
        self._digest = hashlib.sha256(self.data or b"").hexdigest()
        self._lines = (self.data or b"").count(b"\n") + bool(self.data and not self.data.endswith(b"\n"))
        self.is_python = True
        if self.data is None:
            return
        from verifier.notebooks.cells import read_notebook  # noqa: PLC0415 - only trees with notebooks pay for it

        try:
            self.notebook = read_notebook(self.data)
        except NotebookError as error:
            self.refusal = error
            self.problem = f"it is no notebook: {error}"
            self.data = None
            return
        self._lines = max([self._lines, *(cell.end - 1 for cell in self.notebook.cells)])
        self.is_python = not self.notebook.foreign
        if self.is_python:
            self.data = self._python({})

    @property
    def sha256(self) -> str:
        """Return the digest of the file itself, not of the Python in it."""
        return self._digest

    @property
    def line_count(self) -> int:
        return self._lines

    @property
    def text_lines(self) -> list[str]:
        """The lines of the code cells as written, each where the file has it."""
        if self.notebook is None:
            return []
        lines = [""] * self.notebook.line_count
        for cell in self.notebook.cells:
            lines[cell.line - 1 : cell.end - 1] = cell.lines
        return lines

    def holds(self, line: int) -> bool:
        """Return whether a line of the file is one of a code cell."""
        return self.notebook is not None and self.notebook.cell_at(line) is not None

    def parts(self) -> Iterator[bytes]:
        """Yield the Python of each cell by itself, at its own lines."""
        for cell in self.notebook.cells if self.notebook else ():
            yield self.part(cell.number)

    def part(self, number: int) -> bytes:
        """Return the Python of one cell, at its own lines; what it imports from `__future__` comes first."""
        assert self.notebook is not None
        cell = self.notebook.cells[number - 1]
        return _text(self.notebook.line_count, {cell.line: self._codes[number - 1]})

    def leave_out(self, bound: Mapping[int, Sequence[str]]) -> None:
        """Make the data that of the notebook without some cells.

        Args:
            bound: number of each such cell -> the names that it may bind.
        """
        self.left_out = frozenset(bound)
        self.data = self._python(bound)

    def _python(self, bound: Mapping[int, Sequence[str]]) -> bytes:
        from verifier.notebooks.magics import CellCode, binding  # noqa: PLC0415

        assert self.notebook is not None
        codes = {}
        for cell, code in zip(self.notebook.cells, self._codes, strict=True):
            instead = CellCode([binding(bound[cell.number])]) if bound.get(cell.number) else CellCode([])
            if cell.lines:
                codes[cell.line] = instead if cell.number in bound else code
        return _text(self.notebook.line_count, codes)

    @cached_property
    def _codes(self) -> list[CellCode]:
        from verifier.notebooks.magics import to_python  # noqa: PLC0415

        assert self.notebook is not None
        return [to_python(cell.lines) for cell in self.notebook.cells]


def _text(line_count: int, codes: Mapping[int, CellCode]) -> bytes:
    """Return cells as one text, each from its line on. Nothing of a notebook stands on its first two lines."""
    lines = [""] * line_count
    features = sorted({feature for code in codes.values() for feature in code.features})
    if features:
        lines[0] = f"from __future__ import {', '.join(features)}"
    for first, code in codes.items():
        lines[first - 1 : first - 1 + len(code.lines)] = code.lines
        if code.indented:
            lines[first - 2] = "if 1:"
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
