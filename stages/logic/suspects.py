"""Finds, by its text alone, code that half precision would harm, in projects that speak of half precision.

Nothing in sight need run that code under autocast: a model's file seldom says who calls it. What is found here is only
read; whether it is worth a word the rules decide, and then as a suspicion that costs nothing. Every file of a project
is searched, so only plain words are looked for, the rare one of those that must stand together first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.logic.suspect_numbers import numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from verifier.api import SourceFile

_FLOAT16_WORDS = (
    *(b"GradScaler", b"fp16", b".half()", b"mixed_precision", b"16-mixed", b"precision=16"),
    *(b"amp.autocast", b"amp.initialize"),
)
_FLOAT16 = late(rb"(?<!b)float16|\bautocast\(\s*(?:device_type\s*=\s*)?[\"']cuda[\"']\s*[,)](?!\s*dtype)")
_BFLOAT16_WORDS = (b"autocast", b"bfloat16", b"bf16")
_PURE_WORDS = (b"opt_level", b"FP16_", b"network_to_half", b"deepspeed")

_ANGLES = late(rb"freq|omega|(?<!cos_)theta|rotary|sinus")
_PRODUCTS = (b"einsum", b"matmul", b"mm(", b" @ ")
_WHOLE = rb"(?!torch\.)(?!\w*(?:mask|idx|ind|posit|length|duration|pointer|_ids?\b))"  # no names of whole numbers
_BORROWED = late(rb"(?:type_as\(|dtype ?= ?|\.to\()" + _WHOLE + rb"(?:(?<=as\()|[\w.]+\.dtype)")
_LOG = late(rb"\blog\([^#\n]*\b(?:sigmoid|softmax)\(|(?:sigmoid|softmax)\([^#\n]*\)\.log\(")
_DERIVED = late(rb"class \w+\(.*Function\)")
_OF_SELF = late(rb",\s*self\.\w+\s*[,)]")
_WIDENED = late(rb"\.float\(\)|float32\b(?!\)\.)|torch\.float\b(?!\))|\.double\(\)")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspects:
    """What of a file is worth reading.

    Args:
        lines: the numbers of lines whose functions are to be read as autocast would run them.
        whole: something is in the file that rules about files have to look at.
        choices: the file chooses between something and an attribute of its own, which early versions of torch refuse
            where their types differ.
    """

    lines: frozenset[int] = frozenset()
    whole: bool = False
    choices: bool = False


def spoken_of(files: Iterable[SourceFile]) -> Spoken:
    """Return what the files of a project speak of; the first that does is enough."""
    return _spoken_in(frozenset(file.data for file in files if file.data is not None))


@lru_cache(maxsize=2)  # every task of a run is seen beside the same files
def _spoken_in(texts: frozenset[bytes]) -> Spoken:
    float16 = _any_has(texts, _FLOAT16_WORDS) or any(_FLOAT16.search(text) for text in texts if b"float16" in text)
    low = float16 or _any_has(texts, _BFLOAT16_WORDS)
    return Spoken(float16=float16, low=low, pure=float16 and _any_has(texts, _PURE_WORDS))


def words_in(data: bytes) -> tuple[bool, bool, bool]:
    """Return what one text adds to what its project speaks of: `spoken_of` depends on no more of it."""
    float16 = _any_has([data], _FLOAT16_WORDS) or (b"float16" in data and _FLOAT16.search(data) is not None)
    return float16, _any_has([data], _BFLOAT16_WORDS), _any_has([data], _PURE_WORDS)


def suspects_of(data: bytes, spoken: Spoken) -> Suspects:
    """Return what of a file half precision may harm.

    Args:
        spoken: a project that speaks of none may still be a library that others run in it, which angles do not survive.
    """
    if b"torch" not in data:
        return Suspects()
    starts = {*_angles(data)}
    if spoken.low:
        numbers = numbers_of(data)
        numeric = (*numbers.fills(), *numbers.guards(), *numbers.ceilings(), *_logarithms(data))
        starts.update(start for start in numeric if not _is_widened(data, start))
        starts.update(_ranges(data))
    return Suspects(
        lines=frozenset(data.count(b"\n", 0, start) + 1 for start in starts),
        whole=spoken.low and _is_for_rules_of_files(data),
        choices=spoken.low and any(_OF_SELF.search(data, at, at + _AFTER) for _, at in _calls(data, b"torch.where(")),
    )


def _any_has(texts: Iterable[bytes], words: Iterable[bytes]) -> bool:
    return any(word in text for text in texts for word in words)


def _is_widened(data: bytes, start: int) -> bool:
    """Say whether the function around a line asks for float32 itself before, or on, that line."""
    end = data.find(b"\n", start)
    opened = max(data.rfind(b"def ", 0, start), data.rfind(b"class ", 0, start), 0)
    return _WIDENED.search(data, opened, len(data) if end < 0 else end) is not None


def _angles(data: bytes) -> Iterator[int]:
    for word in _PRODUCTS:
        for start, end in _lines(data, word):
            if _ANGLES.search(data, start, end) and not data[start:end].lstrip().startswith(b"#"):
                yield start


def _ranges(data: bytes) -> Iterator[int]:
    for start, at in _calls(data, b"arange("):
        if _BORROWED.search(data, at, at + _AFTER):
            yield start


def _logarithms(data: bytes) -> Iterator[int]:
    if b"sigmoid(" in data or b"softmax(" in data:
        for start, end in _lines(data, b"log("):
            if _LOG.search(data, start, end):
                yield start


def _is_for_rules_of_files(data: bytes) -> bool:
    """Say whether a file has a loss that raises under autocast, or a function with a backward of its own."""
    if b"BCELoss(" in data or b"binary_cross_entropy(" in data:
        return True
    if b"save_for_backward" not in data or b"custom_fwd" in data or b"autocast" in data:
        return False
    return any(_DERIVED.search(data, *line) for line in _lines(data, b"Function)"))


def _calls(data: bytes, word: bytes) -> Iterator[tuple[int, int]]:
    """Yield for each time that a word stands in a text the start of its line and its own."""
    at = data.find(word)
    while at >= 0:
        yield data.rfind(b"\n", 0, at) + 1, at
        at = data.find(word, at + 1)


def _lines(data: bytes, word: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of each line with a word."""
    at = data.find(word)
    while at >= 0:
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        yield data.rfind(b"\n", 0, at) + 1, end
        at = data.find(word, end)
