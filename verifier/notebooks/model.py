"""What is known of a notebook: its code cells, and where they stand."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass


class NotebookError(Exception):
    """The file is no notebook. The text says why, in one sentence; `line` and `column` where."""

    def __init__(self, text: str, line: int = 1, column: int = 1) -> None:
        super().__init__(text)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One code cell.

    Args:
        number: among the code cells, from 1: the order in which they run.
        index: among all cells, from 0.
        line: of the file on which its first source line stands; the others follow without a gap.
        lines: its source as written, without line ends.
    """

    number: int
    index: int
    id: str | None
    line: int
    lines: tuple[str, ...]
    tags: frozenset[str] = frozenset()

    @property
    def end(self) -> int:
        """Return the line of the file behind its last one."""
        return self.line + len(self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """The code cells of a notebook.

    Args:
        line_count: of the file.
        foreign: what its kernel reads, where that is not Python 3; "" where it is.
        python: the minor version of the Python 3 that wrote it, where it says so.
    """

    cells: tuple[Cell, ...]
    line_count: int
    foreign: str = ""
    python: int | None = None

    def cell_at(self, line: int) -> Cell | None:
        """Return the cell whose source stands on a line of the file."""
        place = bisect_left([cell.end for cell in self.cells], line + 1)
        cell = self.cells[place] if place < len(self.cells) else None
        return cell if cell is not None and cell.line <= line else None
