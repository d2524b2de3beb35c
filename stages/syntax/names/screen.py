"""Decides, without a syntax tree, which files the full name analysis must see; a file it lets go has no finding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.typetext import names_of_type, roots
from stages.syntax.names.resolve import BUILTINS, MODULE_NAMES

if TYPE_CHECKING:
    from stages._source.bytecode import Reading

_KNOWN = BUILTINS | MODULE_NAMES
_KNOWN_IN_PACKAGE = _KNOWN | {"__path__"}
# An annotated assignment inside a function: Python compiles nothing for its annotation, so only the text shows it.
# A line break at its head, where `^` would do too, lets the search jump from line to line.
_LOCAL_ANNOTATION = late(
    rb"\n[ \t]+([A-Za-z_][\w.]*)[ \t]*:(?![=:\n])[ \t]*([^\n#=]+?)[ \t]*(?:=(?!=)|#|$)", re.MULTILINE
)
_CUT_TYPE = late(r"[\w.]+[ \t]*\[")  # goes on on the next line
_PAIRS = (("[", "]"), ("(", ")"), ("{", "}"))


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What the full analysis has to look at.

    Args:
        needed: anything beside the owners.
        namespace: the ways in which a module changes its own namespace.
        owners: the functions to follow path by path.
    """

    needed: bool
    namespace: bool
    owners: frozenset[tuple[int, str]]


def judge(reading: Reading, code: CodeType, path: str, data: bytes) -> Suspicion:
    """Return whether anything about the file's names is not plainly in order."""
    known = reading.bindings | (_KNOWN_IN_PACKAGE if path.endswith("__init__.py") else _KNOWN)
    needed = (
        reading.hints
        or bool(reading.type_only & reading.loads)
        or not reading.loads <= known
        or any(not roots(text) <= known | visible for text, visible in reading.strings)
        or not reading.exports <= known
        or _odd_local_annotation(data, code, known)
    )
    return Suspicion(needed, reading.hints, reading.owners)


def _odd_local_annotation(data: bytes, code: CodeType, known: frozenset[str]) -> bool:
    local: set[str] | None = None
    for match in _LOCAL_ANNOTATION.finditer(data):
        names = _names_annotated(match[2])
        if names is not None and names <= known:
            continue
        target = match[1].decode("utf-8", "replace")
        if "." in target:
            return True
        if local is None:
            local = _locals(code)
        if target in local:
            return True
    return False


@lru_cache(maxsize=20_000)
def _names_annotated(annotation: bytes) -> frozenset[str] | None:
    """Return the names that an annotation looks up; None where it goes on on the next line."""
    text = annotation.decode("utf-8", "replace")
    if any(text.count(opening) > text.count(closing) for opening, closing in _PAIRS):
        return None if _CUT_TYPE.match(text) else frozenset()
    return names_of_type(text)


def _locals(code: CodeType) -> set[str]:
    found = {*code.co_varnames, *code.co_cellvars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _locals(constant)
    return found
