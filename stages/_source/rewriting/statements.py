"""Edits of whole statements: put one in, take one out, move one, indent one less. Comments go with their lines."""

from __future__ import annotations

import ast
import io
import tokenize
from typing import TYPE_CHECKING

from verifier.api import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.rewriting.reading import Reading
    from verifier.api import SourceText


def first_line(statement: ast.stmt) -> int:
    """Return the line on which a statement starts, its decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(item.lineno for item in decorators)])


def lines_of(text: SourceText, statement: ast.stmt) -> tuple[int, int] | None:
    """Return the span of the whole lines of a statement; None where other code stands on them too."""
    first, last = first_line(statement), statement.end_lineno or statement.lineno
    start, end = text.line_starts[first - 1], text.line_end(last)
    code_start = start + len(text.indent(first))
    stated, code_end = text.span(statement)
    if first == statement.lineno and stated != code_start:
        return None
    rest = text.text[code_end:end].strip()
    if rest and not rest.startswith("#"):
        return None
    return start, end


def before(text: SourceText, statement: ast.stmt, code: str, *, apart: bool = False) -> Edit | None:
    """Return the edit that puts a line of code in front of a statement; None where there is no line for it.

    Args:
        apart: leave a blank line between them.
    """
    span = lines_of(text, statement)
    if span is None:
        return None
    indent = text.indent(first_line(statement))
    return Edit(span[0], span[0], _indented(code, indent) + "\n" * apart)


def after(text: SourceText, statement: ast.stmt, code: str, *, like: ast.stmt | None = None) -> Edit | None:
    """Return the edit that puts a line of code behind a statement; None where there is no line for it.

    Args:
        like: the statement whose indentation the new line has; else the first one's own.
    """
    span = lines_of(text, statement)
    if span is None:
        return None
    indent = text.indent(first_line(like or statement))
    end = span[1]
    if end == len(text.text) and not text.text.endswith(("\n", "\r")):
        return Edit(end, end, "\n" + _indented(code, indent)[:-1])
    return Edit(end, end, _indented(code, indent))


def remove(reading: Reading, statement: ast.stmt) -> Edit | None:
    """Return the edit that takes a statement out, with the comment on its line; the last of a block leaves `pass`."""
    span = lines_of(reading.text, statement)
    if span is None:
        return None
    if len(reading.block(statement)) == 1:
        start, end = reading.text.span(statement)
        return Edit(start, end, "pass")
    return Edit(span[0], _with_blank_line(reading.text, *span), "")


def _with_blank_line(text: SourceText, start: int, end: int) -> int:
    """Return the end of a span of lines, one blank line more where blank ones stand on both sides of it."""
    above = text.text[:start].rstrip(" \t\f")
    rest = text.text[end:]
    blank = rest[: len(rest) - len(rest.lstrip(" \t\r\n"))]
    if above.endswith(("\n\n", "\r\n\r\n")) and blank.startswith(("\n", "\r\n")):
        return end + (2 if blank.startswith("\r\n") else 1)
    return end


def swap(text: SourceText, first: ast.stmt, second: ast.stmt) -> tuple[Edit, ...] | None:
    """Return the edits that put two statements of one block in each other's place; what is between them stays."""
    spans = lines_of(text, first), lines_of(text, second)
    if spans[0] is None or spans[1] is None or text.indent(first.lineno) != text.indent(second.lineno):
        return None
    one, two = (text.text[start:end] for start, end in (spans[0], spans[1]))
    if not one.endswith(("\n", "\r")) or not two.endswith(("\n", "\r")):
        ends = text.newline
        two = two if two.endswith(("\n", "\r")) else two + ends
        one = one.rstrip("\r\n")
    return Edit(*spans[0], two), Edit(*spans[1], one)


def move_before(text: SourceText, statement: ast.stmt, target: ast.stmt) -> tuple[Edit, ...] | None:
    """Return the edits that move a statement in front of another one of the same block."""
    span, place = lines_of(text, statement), lines_of(text, target)
    if span is None or place is None or text.indent(statement.lineno) != text.indent(first_line(target)):
        return None
    code = text.text[slice(*span)]
    if not code.endswith(("\n", "\r")):
        code += text.newline
    return Edit(place[0], place[0], code), Edit(*span, "")


def move_after(text: SourceText, statement: ast.stmt, target: ast.stmt) -> tuple[Edit, ...] | None:
    """Return the edits that move a statement behind another one of the same block."""
    span, place = lines_of(text, statement), lines_of(text, target)
    if span is None or place is None or text.indent(statement.lineno) != text.indent(first_line(target)):
        return None
    code = text.text[slice(*span)]
    end = place[1]
    if end == len(text.text) and not text.text.endswith(("\n", "\r")):
        return Edit(end, end, text.newline + code.rstrip("\r\n")), Edit(*span, "")
    return Edit(end, end, code), Edit(*span, "")


def dedent(text: SourceText, statements: Sequence[ast.stmt], indent: str) -> tuple[Edit, ...] | None:
    """Return the edits that give statements which follow each other the indentation `indent`, which is less.

    Lines inside strings stay as they are, and so do lines that are indented less than their statement.
    """
    if any(lines_of(text, item) is None for item in statements):
        return None
    first, last = first_line(statements[0]), statements[-1].end_lineno or 0
    old = text.indent(first)
    if not old.startswith(indent) or len(old) <= len(indent):
        return None
    inside = _inside_strings(text)
    while first > 1 and text.line(first - 1).startswith(f"{old}#"):  # what is said above the first one is about it
        first -= 1
    edits = []
    for number in range(first, last + 1):
        start = text.line_starts[number - 1]
        if number not in inside and text.line(number).startswith(old):
            edits.append(Edit(start, start + len(old), indent))
    return tuple(edits)


def indent(text: SourceText, statements: Sequence[ast.stmt], unit: str = "    ") -> tuple[Edit, ...] | None:
    """Return the edits that indent statements which follow each other by one unit more; lines inside strings stay.

    Where the statements are indented by tabs, the unit is a tab.
    """
    if any(lines_of(text, item) is None for item in statements):
        return None
    first, last = first_line(statements[0]), statements[-1].end_lineno or 0
    unit = "\t" if "\t" in text.indent(first) else unit
    inside = _inside_strings(text)
    lines = [number for number in range(first, last + 1) if number not in inside and text.line(number).strip()]
    return tuple(Edit(text.line_starts[number - 1], text.line_starts[number - 1], unit) for number in lines)


def move_into(text: SourceText, statements: Sequence[ast.stmt], target: ast.stmt) -> tuple[Edit, ...] | None:
    """Return the edits that move statements which follow each other to the front of a block, before `target`."""
    spans, place = [lines_of(text, item) for item in statements], lines_of(text, target)
    first, last = first_line(statements[0]), statements[-1].end_lineno or 0
    old, new = text.indent(first), text.indent(first_line(target))
    if place is None or None in spans or _inside_strings(text) & set(range(first, last + 1)):
        return None
    start, end = text.line_starts[first - 1], text.line_end(last)
    lines = [text.text[text.line_starts[number - 1] : text.line_end(number)] for number in range(first, last + 1)]
    if not all(line.startswith(old) or not line.strip() for line in lines):
        return None
    code = "".join(new + line.removeprefix(old) if line.strip() else line for line in lines)
    return Edit(start, end, ""), Edit(place[0], place[0], code)


def _inside_strings(text: SourceText) -> set[int]:
    """Return the lines that begin inside a string."""
    lines: set[int] = set()
    starts: list[int] = []
    source = text.text.replace("\r\n", "\n").replace("\r", "\n")
    fstring = (getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING:
            lines.update(range(token.start[0] + 1, token.end[0] + 1))
        elif token.type == fstring[0]:
            starts.append(token.start[0])
        elif token.type == fstring[1]:
            lines.update(range(starts.pop() + 1, token.end[0] + 1))
    return lines


def _indented(code: str, indent: str) -> str:
    return "".join(f"{indent}{line}\n" if line.strip() else "\n" for line in code.rstrip("\n").split("\n"))
