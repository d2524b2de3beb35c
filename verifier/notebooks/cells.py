"""Decides which code cells a notebook holds, and on which lines of the file their source stands."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from functools import cached_property
from json.decoder import JSONObject, scanstring  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

from verifier.notebooks.model import Cell, Notebook, NotebookError

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_LFS_POINTER = "version https://git-lfs"
_PYTHONS = frozenset({"python", "ipython", "python3", "ipython3", "xpython", "pyodide"})
_PUT_OUT = ("outputs", "attachments")
_BULK = ('"outputs"', '"attachments"', '"metadata"')
_FIRST_LINE = 3  # what stands above every cell of a notebook that is written line by line


def read_notebook(data: bytes) -> Notebook:
    """Return the code cells of a notebook file (format 4, or 3 with its worksheets).

    Where the file does not have each source line on a line of its own, in order, lines are those of the same notebook
    written so, one space deep.

    Raises:
        NotebookError: it is no notebook.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NotebookError(f"byte 0x{data[error.start]:02x} is not valid UTF-8", line) from None
    document = _Document(text)
    placed = document.cells
    if placed is None:
        document = _Document(_rewritten(document.root))
        placed = document.cells or ()
    foreign, python = _kernel(document.root)
    return Notebook(cells=placed, line_count=document.text.count("\n") + 1, foreign=foreign, python=python)


class _Placed(str):
    """A string of the JSON text that knows where it stood."""

    at: int


class _Document:
    """A notebook's JSON with the places of its strings."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = _parsed(text)

    @cached_property
    def cells(self) -> tuple[Cell, ...] | None:
        """Return the code cells; None where their lines do not stand on lines of their own, in order."""
        found: list[Cell] = []
        end = _FIRST_LINE - 1
        for index, raw in enumerate(_raw_cells(self.root)):
            if raw.get("cell_type") != "code":
                continue
            source = _source(raw)
            lines = self._lines(source)
            if lines is None:
                return None
            first = self._line_of(source[0]) if isinstance(source, list) and source else end
            if lines and first <= end:
                return None
            tags = (raw.get("metadata") or {}).get("tags") if isinstance(raw.get("metadata"), dict) else None
            cell = Cell(
                number=len(found) + 1,
                index=index,
                id=str(raw["id"]) if isinstance(raw.get("id"), str) else None,
                line=first,
                lines=lines,
                tags=frozenset(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else frozenset(),
            )
            found.append(cell)
            end = max(end, cell.end)
        return tuple(found)

    def _lines(self, source: list[Any] | str) -> tuple[str, ...] | None:
        """Return the lines of a cell; None where they do not follow each other line by line in the file."""
        if not source:
            return ()
        if isinstance(source, str):
            return None
        lines = []
        first = self._line_of(source[0])
        for offset, item in enumerate(source):
            line = str(item).removesuffix("\n").removesuffix("\r")
            unfinished = offset < len(source) - 1 and not item.endswith("\n")
            if unfinished or _LINE_BREAK.search(line) or self._line_of(item) != first + offset:
                return None
            lines.append(line)
        return tuple(lines)

    def _line_of(self, item: str) -> int:
        assert isinstance(item, _Placed)
        return bisect_left(self._breaks, item.at) + 1

    @cached_property
    def _breaks(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]


def _parsed(text: str) -> dict[str, Any]:
    """Return the JSON of a notebook, with the place of each string but those of what cells have put out."""

    def parse_string(source: str, end: int, strict: bool = True) -> tuple[str, int]:
        value, after = scanstring(source, end, strict)
        placed = _Placed(value)
        placed.at = end
        return placed, after

    decoder: Any = json.JSONDecoder()
    decoder.parse_string = parse_string
    plain: Any = json.JSONDecoder()

    def scan(source: str, at: int) -> tuple[Any, int]:
        found: tuple[Any, int] = plain.scan_once(source, at) if _is_bulk(source, at) else placing(source, at)
        return found

    def parse_object(state: tuple[str, int], strict: bool, _scan: object, *more: Any) -> tuple[Any, int]:
        return JSONObject(state, strict, scan, *more)  # type: ignore[no-any-return]

    decoder.parse_object = parse_object
    decoder.scan_once = placing = py_make_scanner(decoder)
    try:
        root = decoder.decode(text)
    except json.JSONDecodeError as error:
        if text.startswith(_LFS_POINTER):
            raise NotebookError("it is a Git LFS pointer, which stands for the file itself") from None
        reason = "it is empty" if not text.strip() else f"it is not JSON: {error.msg}"
        raise NotebookError(reason, error.lineno, error.colno) from None
    except (RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise NotebookError(reason) from None
    if not isinstance(root, dict) or not _has_cells(root):
        raise NotebookError("it is JSON, but has no list of cells")
    return root


def _is_bulk(text: str, at: int) -> bool:
    """Say whether the value that begins there is that of a key which no source of a cell stands below."""
    if text[at : at + 1] not in ("{", "["):
        return False
    quote = text.rfind('"', 0, at)
    return text[quote + 1 : at].strip() == ":" and text.endswith(_BULK, 0, quote + 1)


def _has_cells(root: dict[str, Any]) -> bool:
    sheets = root["worksheets"] if isinstance(root.get("worksheets"), list) else []
    return isinstance(root.get("cells"), list) or any(
        isinstance(sheet, dict) and isinstance(sheet.get("cells"), list) for sheet in sheets
    )


def _raw_cells(root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every cell, of whatever type.

    Raises:
        NotebookError: one of them is none.
    """
    if isinstance(root.get("cells"), list):
        cells = root["cells"]
    else:
        sheets = [sheet for sheet in root["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet.get("cells"), list) for cell in sheet["cells"]]
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
            raise NotebookError(f"its cell {number} has no type")
        source = _source(cell)
        if not isinstance(source, str) and not all(isinstance(item, str) for item in source):
            raise NotebookError(f"the source of its cell {number} is not text")
    return cells  # type: ignore[no-any-return]


def _source(cell: dict[str, Any]) -> list[Any] | str:
    source = cell.get("source", cell.get("input", ""))
    return source if isinstance(source, list | str) else [None]


def _rewritten(root: dict[str, Any]) -> str:
    """Return the notebook written line by line.

    Raises:
        NotebookError: it is nested too deeply.
    """
    try:
        return json.dumps(_line_by_line(root), indent=1, ensure_ascii=False)
    except RecursionError:
        raise NotebookError("it is nested too deeply") from None


def _line_by_line(root: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook with the source of each cell as a list of lines, and as tall a list for what it has put out.

    Nobody reads the latter in this form, and it is most of a notebook: only the lines that it takes count.
    """
    cells = []
    for cell in _raw_cells(root):
        lines = _LINE_BREAK.split("".join(_source(cell)))
        source = [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        bulk = {key: _as_tall(cell[key]) for key in _PUT_OUT if key in cell}
        cells.append({"cell_type": cell["cell_type"], **cell, "source": source, **bulk})
    metadata = root.get("metadata")
    if isinstance(metadata, dict) and "widgets" in metadata:
        root = {**root, "metadata": {**metadata, "widgets": _as_tall(metadata["widgets"])}}
    return {**root, "cells": cells}


def _as_tall(value: Any) -> Any:
    """Return something that takes as many lines as a value, written one space deep."""
    lines = _height(value)
    return [0] * (lines - 2) if lines > 1 else 0


def _height(value: Any) -> int:
    kind = type(value)
    parts = value.values() if kind is dict else value if kind is list else ()
    return 2 + sum(map(_height, parts)) if parts else 1


def _kernel(root: dict[str, Any]) -> tuple[str, int | None]:
    """Return what its kernel reads where that is not Python 3, and the version of the Python 3 that wrote it."""
    metadata = root["metadata"] if isinstance(root.get("metadata"), dict) else {}
    info, spec = (
        metadata[key] if isinstance(metadata.get(key), dict) else {} for key in ("language_info", "kernelspec")
    )
    language = str(info.get("name") or spec.get("language") or "python")
    if language.lower() not in _PYTHONS:
        return language, None
    version = str(info.get("version") or "")
    if version.startswith("2.") or (not version and spec.get("name") == "python2"):
        return "Python 2", None
    found = re.match(r"3\.(\d+)", version)
    return "", int(found[1]) if found else None
