"""Decides which part of a file says how a line is reached, so that a suspect needs no tree of the whole file."""

from __future__ import annotations

import ast
import textwrap
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.syntax.imports.statements import import_records

if TYPE_CHECKING:
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.statements import ImportRecord

_CONTINUES = late(rb"(?:else|elif|except|finally)\b|[)\]}]|\s|#|$")
_LEAVING_IF = late(rb"\nif [^\n]*:[^\n]*\n\s+(?:raise|pytest\.|sys\.exit|exit)")
_FUNCTION = late(rb"\s*(?:async\s+)?def\b")
_SCOPE = late(rb"\s*(?:(?:async\s+)?def|class)\b")
_CLOSES = late(rb"\s*[)\]}]")


class Passages:
    """The passages of one file, each read once."""

    def __init__(self, data: bytes, conditions: Conditions) -> None:
        self._lines = data.split(b"\n")
        self._guarded_earlier = _has_guard(b"\n" + data)
        self._conditions = conditions
        self._read: dict[tuple[int, int], tuple[ImportRecord, ...] | None] = {}

    def around(self, line: int) -> tuple[ImportRecord, ...] | None:
        """Return the import records of the passage around a line; None where the whole file must be read."""
        if not 0 < line <= len(self._lines):
            return None
        span = _enclosing_function(self._lines, line - 1)
        records = self._records(span) if span is not None else None
        if records is None and not self._guarded_earlier:
            records = self._records(_top_level_statement(self._lines, line - 1))
        return records

    def _records(self, span: tuple[int, int]) -> tuple[ImportRecord, ...] | None:
        if span not in self._read:
            self._read[span] = _records(self._lines, span, self._conditions)
        return self._read[span]


def _has_guard(text: bytes) -> bool:
    """Say whether a statement of a text, which begins with a line break, may end the module before its imports.

    Each question begins with plain bytes, which are found many times as fast as one pattern for all three.
    """
    return b"importorskip" in text or b"\nrequires_" in text or _LEAVING_IF.search(text) is not None


def _enclosing_function(lines: list[bytes], at: int) -> tuple[int, int] | None:
    """Return the first and last line of the outermost function around a line, where only classes are around it."""
    start = None
    indent = _indent(lines[at])
    if indent == 0:
        return None
    for number in range(at - 1, -1, -1):
        text = lines[number]
        if not text.strip() or text.lstrip().startswith(b"#") or _indent(text) >= indent or _CLOSES.match(text):
            continue
        indent = _indent(text)
        if _FUNCTION.match(text):
            start = number
        elif start is not None and not _SCOPE.match(text):
            return None  # what guards the definition may matter
        if indent == 0:
            break
    if start is None:
        return None
    last = at + 1
    while last < len(lines) and (not lines[last].strip() or _indent(lines[last]) > _indent(lines[start])):
        last += 1
    return _with_decorators(lines, start), last


def _top_level_statement(lines: list[bytes], at: int) -> tuple[int, int]:
    first, last = at, at + 1
    while first > 0 and _CONTINUES.match(lines[first]):
        first -= 1
    while last < len(lines) and _CONTINUES.match(lines[last]):
        last += 1
    return _with_decorators(lines, first), last


def _with_decorators(lines: list[bytes], start: int) -> int:
    while start > 0 and lines[start - 1].lstrip().startswith(b"@"):
        start -= 1
    return start


def _records(lines: list[bytes], span: tuple[int, int], conditions: Conditions) -> tuple[ImportRecord, ...] | None:
    first, last = span
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(textwrap.dedent(b"\n".join(lines[first:last]).decode("utf-8")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    records = import_records(tree, conditions)
    if any(_is_private(item) for item in records):
        return None  # the class around the passage changes the name
    return tuple(replace(item, line=item.line + first, end_line=item.end_line + first) for item in records)


def _is_private(record: ImportRecord) -> bool:
    names = [record.module, *(name for name, _ in record.names or ())]
    return any(name.startswith("__") and not name.endswith("__") for name in names)


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip())
