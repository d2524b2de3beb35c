"""Edits of the arguments of a call, one by one, so that everything between them stays as it is written."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from verifier.api import Edit

if TYPE_CHECKING:
    from verifier.api import SourceText


def opening(text: SourceText, call: ast.Call) -> int:
    """Return the place right behind the parenthesis that opens the arguments of a call."""
    _, end = text.span(call.func)
    while text.text[end] != "(":  # white space, or the closing parenthesis of `(f)(x)`
        end += 1
    return end + 1


def put_first(text: SourceText, call: ast.Call, code: str) -> Edit:
    """Return the edit that makes `code` the first argument; a keyword only where no argument stands by position."""
    if not call.args and not call.keywords:
        place = opening(text, call)
        return Edit(place, place, code)
    start = text.span(_every(text, call)[0])[0]
    return Edit(start, start, f"{code}, ")


def put_last(text: SourceText, call: ast.Call, code: str) -> Edit:
    """Return the edit that makes `code` the last argument."""
    if not call.args and not call.keywords:
        place = opening(text, call)
        return Edit(place, place, code)
    end = text.span(_every(text, call)[-1])[1]
    return Edit(end, end, f", {code}")


def name(text: SourceText, argument: ast.expr, keyword: str) -> Edit:
    """Return the edit that passes a positional argument by keyword."""
    start, _ = text.span(argument)
    return Edit(start, start, f"{keyword}=")


def take_out(text: SourceText, call: ast.Call, argument: ast.expr | ast.keyword) -> Edit:
    """Return the edit that removes an argument, with the comma that belongs to it."""
    every = _every(text, call)
    place = every.index(argument)
    start, end = text.span(argument)
    if place + 1 < len(every):
        return Edit(start, text.span(every[place + 1])[0], "")
    if place:
        return Edit(text.span(every[place - 1])[1], end, "")
    return Edit(opening(text, call), end, "")


def _every(text: SourceText, call: ast.Call) -> list[ast.expr | ast.keyword]:
    """Return the arguments of a call as they are written; `**options` starts at its stars."""
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    return sorted(given, key=text.span)
