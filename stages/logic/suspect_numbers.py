"""Finds, by its text alone, the use of a number that float16 cannot hold: too large for a mask, too small for a guard.

Numbers are looked for in a copy of the text in which every digit is a 0: the pattern then begins with a plain byte,
which CPython searches for many times faster than for any of ten. Only lines with such a number are read closer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_NUMBER = late(rb"0(?:\.?0*e[-+]?0|00000|\.00000)")  # in such a copy: with an exponent, long, or near one
_LIMITS = b"finfo(torch.float"  # `float32` as well

_BIG = rb"(?:\b\d(?:\.\d*)?[eE]\+?(?:[5-9]|[1-3]\d)\b|(?<![\w.])\d{6,}\b|(?:torch\.)?finfo\(torch\.float(?:32)?\))"
_TINY = rb"(?:\b\d(?:\.\d*)?[eE]-(?:[89]|0[89]|[1-4]\d)\b|finfo\(torch\.float(?:32)?\)\.(?:tiny|smallest_normal))"
_OWN = rb"(?:\w+\.){0,2}"  # `self.`, `self.config.`
_NAMES = late(rb"(?i:eps|tiny|smooth|neg|inf|min|max|mask|fill|large|big|huge|value|replace)")
_NO_MASK = late(rb"(?i:_id|token|size|position|pixel|length|steps|theta)")
_NEARLY_ONE = late(rb"1(?:\.0*)? ?- ?1?\.?\d*e-|0\.99999")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of number: what it looks like, how a name is bound to one, and the uses of a number and of such a name."""

    number: re.Pattern[bytes]
    bound: re.Pattern[bytes]
    use: re.Pattern[bytes]
    use_of_name: bytes  # with %s for the names


def _kind(number: bytes, use: bytes) -> _Kind:
    """Return a kind by a pattern of its uses, with %s for what is used."""
    bound = rb"(\w+)\s*(?::\s*[\w.| ]+)?=\s*[-+]?\s*(?:float\(|torch\.tensor\()?" + number
    return _Kind(late(number), late(bound), late(use.replace(b"%s", number)), use)


_FILLED = _kind(
    _BIG,
    rb"(?:masked_fill|replace_masked|\bwhere|clamp|softmax|\bpad\(|full\w*\(|fill_?\()[^#]*%s"
    rb"|(?:[\w)\]] ?[-+*]|\] ?=|value ?=) ?\(?[-+]?%s|[A-Za-z_)\]], ?[-+]%s|%s ?\*|^\s*-%s(?:\.m[ai][nx])?\)?,?\s*$",
)
_GUARDED = _kind(_TINY, rb"\+ ?\(?%s(?! ?=)|%s\)? ?\+|\b(?:clamp\w*|clip|max(?:imum)?)\([^#]*%s")


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a text that may be too much or too little for float16, by the starts of their lines."""

    data: bytes
    starts: tuple[int, ...]

    def fills(self) -> Iterator[int]:
        """Yield the starts of lines that fill or shift by a number too large."""
        return self._using(_FILLED) if b"mask" in self.data or b"softmax" in self.data else iter(())

    def guards(self) -> Iterator[int]:
        """Yield the starts of lines that keep something from zero by a number too small."""
        return self._using(_GUARDED)

    def ceilings(self) -> Iterator[int]:
        """Yield the starts of lines that keep something below one by a number that is one in float16."""
        return (start for start in self.starts if _NEARLY_ONE.search(_line(self.data, start)))

    def _using(self, kind: _Kind) -> Iterator[int]:
        names: dict[bytes, int] = {}
        for start in self.starts:
            line = _line(self.data, start)
            if b"http" in line or kind.number.search(line) is None:
                continue
            bound = kind.bound.search(line)
            if bound is not None and _NAMES.search(bound[1]) and not _NO_MASK.search(bound[1]):
                names[bound[1]] = start
            if kind.use.search(line):
                yield start
        if names:
            yield from _naming(self.data, kind, names)


def numbers_of(data: bytes) -> Numbers:
    """Return the numbers of a text that are worth a closer look."""
    found = [match.start() for match in _NUMBER.finditer(data.translate(_ALIKE))]
    at = data.find(_LIMITS)
    while at >= 0:
        found.append(at)
        at = data.find(_LIMITS, at + 1)
    return Numbers(data, tuple(sorted({data.rfind(b"\n", 0, at) + 1 for at in found})))


def _naming(data: bytes, kind: _Kind, names: dict[bytes, int]) -> Iterator[int]:
    """Yield the starts of the other lines that use a name which the file gives to such a number."""
    any_name = rb"\b" + _OWN + rb"(?:" + b"|".join(re.escape(name) for name in sorted(names)) + rb")\b"
    use = re.compile(kind.use_of_name.replace(b"%s", any_name))
    for start in _lines_with(data, names):
        if start not in names.values() and use.search(_line(data, start)):
            yield start


def _lines_with(data: bytes, names: Iterable[bytes]) -> list[int]:
    found: set[int] = set()
    for name in names:
        at = data.find(name)
        while at >= 0:
            found.add(data.rfind(b"\n", 0, at) + 1)
            at = data.find(name, at + len(name))
    return sorted(found)


def _line(data: bytes, start: int) -> bytes:
    """Return a line up to its comment."""
    end = data.find(b"\n", start)
    return data[start : len(data) if end < 0 else end].partition(b"#")[0]
