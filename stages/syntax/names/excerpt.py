"""Decides whether a suspect function is in order by looking at its own lines only, so that most files stay unparsed."""

from __future__ import annotations

import ast
import warnings
from types import CodeType
from typing import TYPE_CHECKING

from stages._source.bytecode import MODULE_OWNER
from stages._source.compiling import source_text
from stages.syntax.names.analysis import deep, doubts
from stages.syntax.names.builder import build
from stages.syntax.names.scopes import How

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.bytecode import Owner
    from stages.syntax.names.scopes import Names

_FUTURE_ANNOTATIONS = 0x1000000  # co_flags of code compiled with postponed annotations
_OPENERS = {True: "def {}():", False: "class {}:"}


def all_in_order(code: CodeType, data: bytes, owners: frozenset[Owner]) -> bool:
    """Return whether none of the suspect functions has anything to report; False where that takes the whole file.

    A function on its own shows no less than in its file: what the rest could explain stays suspect here.
    """
    if MODULE_OWNER in owners:
        return False
    lines = source_text(data).removeprefix("\ufeff").split("\n")
    found = 0
    for function, around in _functions(code, ()):
        if (function.co_firstlineno, function.co_name) in owners:
            found += 1
            if not _in_order(function, around, lines):
                return False
    return found >= len(owners)


def _functions(code: CodeType, around: tuple[CodeType, ...]) -> Iterator[tuple[CodeType, tuple[CodeType, ...]]]:
    for constant in code.co_consts:
        if type(constant) is CodeType:
            if constant.co_flags & 1 and constant.co_name.isidentifier():
                yield constant, around
            yield from _functions(constant, (*around, constant))


def _in_order(function: CodeType, around: tuple[CodeType, ...], lines: list[str]) -> bool:
    excerpt = _excerpt(function, around, lines)
    if excerpt is None:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(excerpt)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    with deep():
        names = build(tree, excerpt.encode(), stub=False)
        future = bool(function.co_flags & _FUTURE_ANNOTATIONS)
        for node, scope in names.scope_of.items():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function.co_name:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if first == function.co_firstlineno:
                    certain, unsure = doubts(names, scope, node, future=future)
                    return not certain and not unsure and not _never_bound(names)
    return False


def _never_bound(names: Names) -> bool:
    """Return whether a scope makes a name its own, by `del` or a bare annotation, without ever binding it."""
    return any(
        all(binding.types_only or binding.how in (How.DELETED, How.DECLARED) for binding in bindings)
        for scope in names.scopes
        for bindings in scope.bindings.values()
    )


def _excerpt(function: CodeType, around: tuple[CodeType, ...], lines: list[str]) -> str | None:
    """Return the function's text at its own line numbers, inside empty copies of what stands around it."""
    first = function.co_firstlineno
    head = lines[first - 1]
    indent = len(head) - len(head.lstrip())
    last = max(first, _last_line(function))
    while last < len(lines) and (not lines[last].strip() or len(lines[last]) - len(lines[last].lstrip()) > indent):
        last += 1
    openers = [
        " " * depth + _OPENERS[bool(outer.co_flags & 1)].format(outer.co_name)
        for depth, outer in enumerate(outer for outer in around if outer.co_name.isidentifier())
    ]
    if len(openers) < indent and not openers:
        openers = ["if 1:"]
    if len(openers) > indent or first - 1 < len(openers):
        return None
    return "\n" * (first - 1 - len(openers)) + "\n".join([*openers, *lines[first - 1 : last]]) + "\n"


def _last_line(code: CodeType) -> int:
    ends = [end for _start, end, _column, _end_column in code.co_positions() if end is not None]
    inner = [_last_line(constant) for constant in code.co_consts if type(constant) is CodeType]
    return max([*ends, *inner], default=code.co_firstlineno)
