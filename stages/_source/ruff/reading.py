"""Decides what ruff is asked: edited files as they would be, and cells of notebooks at the lines of their file."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.notebooks import cells_of, is_left_out
from stages._source.pythons import supported_pythons
from stages._source.ruff.edited import as_on_disk
from stages._source.ruff.process import Read, read_all
from verifier.api import EditedFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stages._source.ruff.binary import Ruff
    from stages._source.ruff.diagnostics import Diagnostic
    from verifier.api import SourceTree, StageContext

_OLDEST, _NEWEST = 7, 13  # minor versions that every ruff we accept knows as a target


def target_version(minor: int) -> str:
    """Return ruff's name for Python 3.`minor`, or for the nearest that it knows."""
    return f"py3{min(max(minor, _OLDEST), _NEWEST)}"


def target_of(root: Path) -> str:
    """Return the oldest Python that a project says it supports, as ruff names it; else the running one."""
    supported = supported_pythons(root, "pyproject.toml")
    return target_version(supported.oldest if supported else sys.version_info.minor)


def read_files(
    ruff: Ruff,
    context: StageContext,
    paths: Sequence[str],
    *,
    target: str,
    select: Sequence[str],
    stopped: threading.Event | None = None,
) -> Read:
    """Have ruff read files of a run.

    Raises:
        RuffError: it refuses our options whatever the files.
    """
    edited = {path: file for path in paths if isinstance(file := context.sources.get(path), EditedFile)}

    def below(root: Path, names: Sequence[str]) -> Read:
        threads = context.options.jobs
        return read_all(ruff, root, names, target=target, threads=threads, select=select, stopped=stopped)

    read = below(context.root, [path for path in paths if path not in edited])
    if edited:
        with as_on_disk(list(edited.values())) as folder:
            beside = below(folder, list(edited))
        read = Read([*read.found, *beside.found], read.unread | beside.unread)
    return Read(_at_file_lines(read.found, context.sources), read.unread)


def _at_file_lines(hits: Sequence[Diagnostic], files: SourceTree) -> list[Diagnostic]:
    """Return the hits; those in a cell of a notebook, whose lines ruff counts by themselves, at the file's lines.

    What ruff says of a cell that CPython refuses is told with that cell.
    """
    placed = []
    for hit in hits:
        file = files.get(hit.path) if hit.cell else None
        cell = next((cell for cell in cells_of(file) if cell.index == hit.cell - 1), None) if file else None
        if cell is not None and is_left_out(file, cell):
            continue
        placed.append(replace(hit, line=cell.line + hit.line - 1) if cell else hit)
    return placed
