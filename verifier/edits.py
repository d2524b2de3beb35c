"""Edits of source text: spans that are replaced, while every other byte of the file stays as it is."""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ast

_LINE_END = re.compile(r"\r\n|\r|\n")
_BARE = re.compile(r"(?<!\r)\n")  # what is moved within a file brings its own ends along


class UneditableError(Exception):
    """The file cannot be edited without changing more of it than is asked for. The text says why, in one sentence."""


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    r"""Put `text` in the place of `start` up to `end`: characters of the decoded file, from 0.

    `text` has "\n" between its lines, whatever the file has; "\r\n", of text that is moved, stays.
    """

    start: int
    end: int
    text: str

    def overlaps(self, other: Edit) -> bool:
        """Say whether both cannot be applied: they share a character, or one begins inside the other."""
        if self.start == self.end and other.start == other.end:
            return False  # two insertions stand one after the other
        if self.start == self.end or other.start == other.end:
            inner, outer = (self, other) if self.start == self.end else (other, self)
            return outer.start < inner.start < outer.end
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class SourceText:
    """The text of a Python file, and the way back to its bytes.

    Args:
        text: decoded, line ends as they stand, without a byte-order mark.
        encoding: what it is written in.
        mark: the byte-order mark that stands before it, or nothing.
    """

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Decode a file.

        Raises:
            UneditableError: its encoding is unknown, or does not give the same bytes back.
        """
        mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        body = data[len(mark) :]
        try:
            lines = io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
            encoding = "utf-8" if mark else tokenize.detect_encoding(lines.readline)[0]
            text = body.decode(encoding)
            same = text.encode(encoding) == body
        except (SyntaxError, LookupError, ValueError) as error:
            raise UneditableError(f"its text cannot be decoded: {error}") from error
        if not same:
            raise UneditableError(f"its encoding, {encoding}, does not give the same bytes back")
        return cls(text, encoding, mark)

    @cached_property
    def line_starts(self) -> Sequence[int]:
        """Where each line begins, by CPython's count: form feeds end no line."""
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]

    @cached_property
    def newline(self) -> str:
        """Return the line end that the file uses most; of equals the first."""
        counts: dict[str, int] = {}
        for end in _LINE_END.findall(self.text):
            counts[end] = counts.get(end, 0) + 1
        return max(counts, key=lambda end: counts[end]) if counts else "\n"

    def line(self, number: int) -> str:
        """Return a line, from 1, without its end."""
        start = self.line_starts[number - 1]
        return _LINE_END.split(self.text[start : self.line_end(number)])[0]

    def line_end(self, number: int) -> int:
        """Return where the line after this one begins, or the text ends."""
        return self.line_starts[number] if number < len(self.line_starts) else len(self.text)

    def offset(self, line: int, column: int) -> int:
        """Return the place of CPython's position: `line` from 1, `column` in UTF-8 bytes from 0."""
        start = self.line_starts[line - 1]
        return start + len(self.line(line).encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))

    def span(self, node: ast.stmt | ast.expr | ast.keyword | ast.alias | ast.arg) -> tuple[int, int]:
        """Return where a node of this text's syntax tree starts and ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def code(self, node: ast.stmt | ast.expr | ast.keyword | ast.alias | ast.arg) -> str:
        """Return the source of a node as it is written, comments inside it included."""
        start, end = self.span(node)
        return self.text[start:end]

    def indent(self, line: int) -> str:
        """Return the white space before the code of a line."""
        text = self.line(line)
        return text[: len(text) - len(text.lstrip())]

    def edited(self, edits: Iterable[Edit]) -> bytes:
        """Return the bytes of the file after the edits; those at one place are applied in the order given.

        Raises:
            UneditableError: two edits overlap, or the file's encoding cannot write what they say.
        """
        parts: list[str] = []
        done = 0
        last: Edit | None = None
        for edit in sorted(edits, key=lambda item: (item.start, item.end)):
            if edit.start < done or (last is not None and edit.overlaps(last)):
                raise UneditableError(f"two edits overlap at character {edit.start}")
            parts += (self.text[done : edit.start], _BARE.sub(self.newline, edit.text))
            done, last = edit.end, edit
        text = "".join((*parts, self.text[done:]))
        try:
            return self.mark + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise UneditableError(f"its encoding, {self.encoding}, has no {error.object[error.start]!r}") from error
