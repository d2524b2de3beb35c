"""One CSV row per log, with a header that grows when new figures come."""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from amp_runtime.trackers.appended import AppendedFile, drop_half_line
from amp_runtime.trackers.contract import Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amp_runtime.trackers.contract import Scalar


class CsvTracker(Tracker):
    """Append rows to a CSV file whose first column is `step`; `path` with `.config.json` added has the configuration.

    A figure that is not in the header yet rewrites the file with one more column, in one move: there is never a file
    whose rows and header disagree. A file of an earlier run is added to. Cells that were not measured are empty;
    inf and NaN are `inf` and `nan`.

    Raises:
        ValueError: with the first row, where the file exists and is no CSV file of a tracker.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = AppendedFile(path)
        self._columns: list[str] = []
        self._config: dict[str, Scalar] = {}

    def config(self, values: Mapping[str, Scalar]) -> None:
        self._config.update(values)
        path = self._file.path.with_name(f"{self._file.path.name}.config.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, json.dumps({name: _cell(value) for name, value in self._config.items()}, indent=2) + "\n")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if not self._columns:
            self._columns = self._known_columns()
        if new := [name for name in values if name not in self._columns]:
            self._widen(new)
        row = {"step": step, **{name: float(value) for name, value in values.items()}}
        self._file.append(_line([str(row.get(name, "")) for name in self._columns]))

    def close(self) -> None:
        self._file.close()

    def _known_columns(self) -> list[str]:
        path = self._file.path
        drop_half_line(path)
        if not path.exists() or path.stat().st_size == 0:
            return []
        with path.open(newline="", encoding="utf-8") as file:
            header = next(csv.reader(file), [])
        if header[:1] != ["step"]:
            raise ValueError(f"{path.name} is not a CSV file of a tracker: its first column is not 'step'")
        return header

    def _widen(self, new: Sequence[str]) -> None:
        """Write the file again with more columns; old rows get empty cells."""
        self._file.close()
        path = self._file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = [*(self._columns or ["step"]), *new]
        rows: list[list[str]] = []
        if self._columns:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))[1:]
        filled = [[*row, *[""] * (len(columns) - len(row))] for row in rows]
        _replace(path, "".join(f"{_line(row)}\n" for row in [columns, *filled]))
        self._columns = columns


def _line(cells: Sequence[str]) -> str:
    # A line break inside a cell would make two lines of a row, of which a crash could leave one.
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([" ".join(cell.splitlines()) for cell in cells])
    return text.getvalue()


def _cell(value: Scalar) -> Scalar:
    return str(value) if isinstance(value, float) else value


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with beside.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
