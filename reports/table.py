"""Decides how a table is written: every row as wide as the head, columns aligned for a plain terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from reports.escape import prose

ROW_LIMIT = 60
FOLD_ABOVE = 12
_CELL_LIMIT = 300
_ALIGN_LIMIT = 60

Cell = str | int | Markup


@dataclass(frozen=True, slots=True)
class Table:
    """Display-ready cells. `right` names the columns of figures; `more` counts the rows that were left out."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: frozenset[str] = frozenset()
    more: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def long(self) -> bool:
        return len(self.rows) > FOLD_ABOVE

    @property
    def total(self) -> int:
        return len(self.rows) + self.more


def table(head: str, rows: Iterable[tuple[Cell, ...]], *, right: str = "", limit: int = ROW_LIMIT) -> Table:
    """Build a table from a head written `A|B|C`, keeping at most `limit` rows."""
    kept = list(rows)
    return Table(tuple(head.split("|")), tuple(kept[:limit]), frozenset(right.split("|")), max(0, len(kept) - limit))


def write(table: Table) -> Markup:
    lines = [[_cell(cell) for cell in row] for row in (table.head, *table.rows)]
    columns = list(zip(*lines, strict=True))
    widths = [max(3, *(min(len(cell), _ALIGN_LIMIT) for cell in column)) for column in columns]
    to_right = [name in table.right for name in table.head]
    rule = [f"{'-' * (width - 1)}:" if right else "-" * width for width, right in zip(widths, to_right, strict=True)]
    text = [_row(lines[0], widths, to_right), _row(rule, widths, to_right)]
    text += [_row(line, widths, to_right) for line in lines[1:]]
    if table.more:
        text += ["", f"And {table.more:,} more, in `report.json`."]
    return Markup("\n".join(text))


def _cell(value: Cell) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return str(value) if isinstance(value, Markup) else str(prose(value, cell=True, limit=_CELL_LIMIT))


def _row(cells: list[str], widths: list[int], to_right: list[bool]) -> str:
    padded = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, to_right, strict=True)
    )
    return f"| {' | '.join(padded)} |"
