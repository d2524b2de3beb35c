"""Finds, by its text alone, code that half precision would harm, in projects that speak of half precision.

Nothing in sight need run that code under autocast: a model's file seldom says who calls it. What is found here is only
read; whether it is worth a word the rules decide, and then as a suspicion that costs nothing. Text is asked in two
steps: for words that are quick to look for, and only where one occurs for what surrounds them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from verifier.api import SourceFile

_FLOAT16_WORDS = (
    *(b"GradScaler", b"fp16", b".half()", b"mixed_precision", b"16-mixed", b"precision=16"),
    *(b"amp.autocast", b"amp.initialize"),
)
_FLOAT16 = re.compile(rb"(?<!b)float16|\bautocast\(\s*(?:device_type\s*=\s*)?[\"']cuda[\"']\s*[,)](?!\s*dtype)")
_BFLOAT16_WORDS = (b"autocast", b"bfloat16", b"bf16")
_PURE_WORDS = (b"opt_level", b"FP16_", b"network_to_half", b"deepspeed")

_BIG = rb"(?:\d(?:\.\d*)?[eE]\+?(?:[5-9]|[1-3]\d)\b|\b\d{6,}|(?:torch\.)?finfo\(torch\.float(?:32)?\))"
_TINY = rb"\d(?:\.\d*)?[eE]-(?:[89]|0[89]|[1-4]\d)\b|finfo\(torch\.float(?:32)?\)\.(?:tiny|smallest_normal)"
_FILLED = re.compile(rb"masked_fill|replace_masked|torch\.where|clamp|softmax|\bpad\(|full|[-+*=] ?\(?[-+]?" + _BIG)
_GUARDED = re.compile(rb"\+ ?\(?(?:" + _TINY + rb")|clamp|clip|max")
_BOUND = re.compile(rb"(\w+)\s*(?::\s*\w+\s*)?=\s*[-+]?\s*(?:float\()?(?:" + _BIG + rb"|" + _TINY + rb")")
_HAS_BIG, _HAS_TINY = re.compile(_BIG), re.compile(_TINY)
_NEARLY_ONE = re.compile(rb"1(?:\.0*)? ?- ?1?\.?\d*e-|0\.99999")
_PRODUCTS = re.compile(rb"einsum|matmul|\bbmm\(|\bmm\(| @ ")
_BORROWED = re.compile(rb"type_as\(|dtype ?= ?(?!torch\.)[\w.]+\.dtype|\.to\([\w.]+\.dtype")
_NAMES_OF_NUMBERS = re.compile(rb"(?i:eps|tiny|smooth|neg|inf|min|max|mask|fill|large|big|huge|value|replace)")
_LOG = re.compile(rb"\blog\([^#\n]*\b(?:sigmoid|softmax)\(|(?:sigmoid|softmax)\([^#\n]*\)\.log\(")
_DERIVED = re.compile(rb"class \w+\(.*Function\)")
_CALLED = re.compile(rb"binary_cross_entropy\(|BCELoss\(")
_OF_SELF = re.compile(rb",\s*self\.\w+\s*[,)]")
_AFTER = 160  # bytes in which such a call ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Which low precision a project speaks of.

    Args:
        float16: it may run in float16, by autocast or by a framework.
        low: it may run in some half type.
        pure: it may run models that were cast to float16 as a whole, where nothing is done in float32.
    """

    float16: bool
    low: bool
    pure: bool


def spoken_of(files: Iterable[SourceFile]) -> Spoken:
    """Return what the files of a project speak of; the first that does is enough."""
    texts = [file.data for file in files if file.data is not None]
    float16 = _any_has(texts, _FLOAT16_WORDS) or any(_FLOAT16.search(text) for text in texts if b"float16" in text)
    low = float16 or _any_has(texts, _BFLOAT16_WORDS)
    return Spoken(float16=float16, low=low, pure=float16 and _any_has(texts, _PURE_WORDS))


def suspicious_lines(data: bytes, spoken: Spoken) -> frozenset[int]:
    """Return the numbers of the lines in which half precision may do harm.

    Args:
        spoken: a project that speaks of none may still be a library that others run in it, which angles do not survive.
    """
    if b"torch" not in data:
        return frozenset()
    looks = _LOOKS if spoken.low else _ANYWHERE
    return frozenset(number for words, look in looks if any(map(data.__contains__, words)) for number in look(data))


def _any_has(texts: Iterable[bytes], words: Iterable[bytes]) -> bool:
    return any(word in text for text in texts for word in words)


def _fills(data: bytes) -> Iterator[int]:
    yield from _using(data, _HAS_BIG, _FILLED)


def _guards(data: bytes) -> Iterator[int]:
    yield from _using(data, _HAS_TINY, _GUARDED)


def _using(data: bytes, number: re.Pattern[bytes], use: re.Pattern[bytes]) -> Iterator[int]:
    """Yield the lines that use such a number, or a name that the file gives to one."""
    if number.search(data) is None:
        return
    lines = data.split(b"\n")
    names: dict[bytes, int] = {}
    for index, line in enumerate(lines, 1):
        if number.search(line) is None:
            continue
        bound = _BOUND.search(line)
        if bound is not None and _NAMES_OF_NUMBERS.search(bound.group(1)):
            names[bound.group(1)] = index
        if use.search(line):
            yield index
    if names:
        named = re.compile(rb"\b(?:" + b"|".join(re.escape(name) for name in sorted(names)) + rb")\b")
        yield from (index for index, line in enumerate(lines, 1) if index not in names.values() and named.search(line))


def _ceilings(data: bytes) -> Iterator[int]:
    yield from _where(data, (b"- 1e", b"-1e", b"0.99999"), _NEARLY_ONE)


def _angles(data: bytes) -> Iterator[int]:
    yield from _where(data, (b"freq", b"omega", b"theta", b"rotary", b"sinus"), _PRODUCTS)


def _ranges(data: bytes) -> Iterator[int]:
    at = data.find(b"arange(")
    while at >= 0:
        if _BORROWED.search(data, at, at + _AFTER):
            yield data.count(b"\n", 0, at) + 1
        at = data.find(b"arange(", at + 1)


def _choices(data: bytes) -> Iterator[int]:
    at = data.find(b"torch.where(")
    while at >= 0:
        if _OF_SELF.search(data, at, at + _AFTER):
            yield data.count(b"\n", 0, at) + 1
        at = data.find(b"torch.where(", at + 1)


def _logarithms(data: bytes) -> Iterator[int]:
    yield from _where(data, (b"sigmoid(", b"softmax("), _LOG)


def _functions(data: bytes) -> Iterator[int]:
    yield from _where(data, (b"Function)",), _DERIVED)


def _entropies(data: bytes) -> Iterator[int]:
    yield from _where(data, (b"binary_cross_entropy(", b"BCELoss("), _CALLED)


def _where(data: bytes, words: Iterable[bytes], wanted: re.Pattern[bytes]) -> Iterator[int]:
    """Yield the lines that have one of these words and what is wanted."""
    for word in words:
        at = data.find(word)
        while at >= 0:
            end = data.find(b"\n", at)
            end = len(data) if end < 0 else end
            if wanted.search(data, data.rfind(b"\n", 0, at) + 1, end):
                yield data.count(b"\n", 0, at) + 1
            at = data.find(word, end)


_ANYWHERE: tuple[tuple[tuple[bytes, ...], Callable[[bytes], Iterator[int]]], ...] = (
    ((b"freq", b"omega", b"rotary", b"sinus"), _angles),
)
_LOOKS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], Iterator[int]]], ...] = (
    ((b"masked_fill", b"softmax", b"replace_masked"), _fills),
    ((b"e-8", b"e-08", b"e-9", b"e-09", b"e-1", b"e-2", b"e-3", b"e-4", b".tiny"), _guards),
    ((b"1-1e", b"1 - 1e", b"1.0 - 1e", b"1. - 1e", b"0.99999"), _ceilings),
    *_ANYWHERE,
    ((b"arange(",), _ranges),
    ((b"torch.where(",), _choices),
    ((b"sigmoid(", b"softmax("), _logarithms),
    ((b"Function)",), _functions),
    ((b"binary_cross_entropy(", b"BCELoss("), _entropies),
)
