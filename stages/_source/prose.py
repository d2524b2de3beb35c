"""Decides which part of a text can be code, by its bytes alone: comments and texts in triple quotes are prose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUOTES = b'"""'
_OTHER_QUOTES = b"'''"
_COMMENT_LINES = late(rb"\n(?<!\\\n)(?<!\\\r\n)[ \t]*#[^\n]*")  # not where a text goes on from the line before
_FORMATTED = frozenset(b"fFtT")  # what stands in such a text may be code
_PREFIX = 2  # letters before a quote


def code_of(data: bytes) -> bytes:
    """Return a text without the lines that are comments and without what stands in triple quotes; whole if unsure.

    No more is left out than is prose for certain, and nothing is added but line ends: what CPython reads as code, or
    as a text in simple quotes, is in what is returned.
    """
    if _OTHER_QUOTES in data:
        return data
    parts = data.split(_QUOTES)
    if len(parts) % 2 == 0 or not all(_opens(before) for before in parts[:-1:2]):
        return data
    if any(text.endswith(b"\\") for text in parts[1::2]):
        return data
    return _COMMENT_LINES.sub(b"", b"\n".join(_code(parts)))


def _code(parts: list[bytes]) -> Iterator[bytes]:
    for place, part in enumerate(parts):
        if place % 2 == 0 or not _FORMATTED.isdisjoint(parts[place - 1][-_PREFIX:]):
            yield part


def _opens(before: bytes) -> bool:
    """Say whether the quotes behind a piece of code open a text: nothing in their line is another text or a comment."""
    line = before[before.rfind(b"\n") + 1 :]
    if b"#" in line or b'"' in line or b"'" in line:
        return False
    return not before[: len(before) - len(line)].endswith((b"\\\n", b"\\\r\n"))
