"""What is known of single files: a file with the same stamp has the same bytes, so it need not be read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifier.cache.stamps import Stamp, stamp_of
from verifier.sources import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.cache.store import Store
    from verifier.sources import SourceFile

_NAME = "files.json"
_FIELDS = 8
_SHARE, _FEW = 4, 1000


@dataclass(frozen=True, slots=True)
class Record:
    """One file. `marked`: it may hold comments that are meant for the verifier."""

    stamp: Stamp
    sha256: str
    lines: int
    marked: bool


class Records:
    """The files of a project by path, as the last runs have seen them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        found = store.read(_NAME)
        self._rows: dict[str, list[Any]] = found if isinstance(found, dict) else {}

    def of(self, path: str, absolute: str) -> Record | None:
        """Return what is known of a file, if it still is the same."""
        row = self._rows.get(path)
        if row is None or not isinstance(row, list) or len(row) != _FIELDS:
            return None
        try:
            now = stamp_of(os.stat(absolute))  # noqa: PTH116 - thousands of them
        except (OSError, ValueError):
            return None
        if list(now) != row[:5]:
            return None
        return Record(now, row[5], row[6], row[7])

    def save(self, files: Iterable[SourceFile]) -> None:
        """Keep what a run knows of files. Those of which nothing is certain any more are forgotten."""
        new = {file.path: _row(file) for file in files}
        changed = {path: row for path, row in new.items() if self._rows.get(path) != row}
        if not changed:
            return
        rows = {path: row for path, row in {**self._rows, **new}.items() if row is not None}
        if len(rows) > _SHARE * len(new) + _FEW:  # of files that are gone, mostly
            rows = {path: row for path, row in new.items() if row is not None}
        self._rows = rows
        self._store.write(_NAME, rows)


def _row(file: SourceFile) -> list[Any] | None:
    if file.stamp is None or file.problem is not None or not file.path.endswith(PYTHON):
        return None
    return [*file.stamp, file.sha256, file.line_count, file.is_marked]
