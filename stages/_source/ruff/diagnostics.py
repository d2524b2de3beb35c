"""Decides how ruff's JSON lines are read: what is not a place in a file that was asked about is dropped."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Diagnostic:
    """One error that ruff found."""

    path: str
    line: int
    column: int
    code: str
    message: str
    name: str  # of ruff's rule
    repair: str = ""  # what ruff itself would do
    mendable: bool = False  # and calls that safe
    cell: int = 0  # of a notebook, from 1, whatever its type; `line` is then one of the cell


def read_lines(output: bytes, root: Path, paths: Sequence[str]) -> Iterator[Diagnostic]:
    """Yield what ruff wrote about `paths`, which it names by their absolute path."""
    known = {os.path.normpath(os.path.join(base, path)): path for base in _spellings(root) for path in paths}  # noqa: PTH118 - names that may hold `..` are joined as text, as ruff does
    for line in output.splitlines():
        entry = json.loads(line)
        path = known.get(entry["filename"])
        if path is not None:
            yield _diagnostic(path, entry)


def _spellings(root: Path) -> set[str]:
    return {str(root.absolute()), str(root.resolve())}


def _diagnostic(path: str, entry: dict[str, Any]) -> Diagnostic:
    place = entry.get("location") or {}
    fix = entry.get("fix") or {}
    return Diagnostic(
        path=path,
        line=place.get("row") or 1,
        column=place.get("column") or 1,
        code=entry.get("code") or "invalid-syntax",
        message=entry["message"],
        name=entry.get("name") or "",
        repair=fix.get("message") or "",
        mendable=fix.get("applicability") == "safe",
        cell=entry.get("cell") or 0,
    )
