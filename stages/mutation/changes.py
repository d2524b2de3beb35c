"""The few kinds of edits that every operator is made of. None says that it cannot be done at this place."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from verifier.api import Edit, Mutation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.mutation.code import Code

STEP = "    "


def replaced(code: Code, node: ast.expr | ast.stmt | ast.keyword, text: str) -> Edit:
    return Edit(*code.source.span(node), text)


def left_out(code: Code, statement: ast.stmt) -> Edit:
    """Put `pass` in the place of a statement: what is around it stays a block, and every line keeps its number."""
    return replaced(code, statement, "pass")


def before(code: Code, statement: ast.stmt, *lines: str) -> Edit | None:
    """Insert lines before a statement, at its indentation."""
    indent = _indent(code, statement)
    if indent is None:
        return None
    start = code.source.line_starts[_first_line(statement) - 1]
    return Edit(start, start, _text(indent, lines))


def after(code: Code, statement: ast.stmt, *lines: str) -> Edit | None:
    """Insert lines after a statement, at its indentation."""
    indent = _indent(code, statement)
    end_line = statement.end_lineno or statement.lineno
    end = code.source.span(statement)[1]
    line_end = code.source.line_end(end_line)
    rest = code.source.text[end:line_end]
    if indent is None or (rest.strip() and not rest.lstrip().startswith("#")):
        return None
    if line_end == len(code.source.text) and not rest.endswith(("\n", "\r")):
        return Edit(line_end, line_end, "\n" + _text(indent, lines).rstrip("\n"))
    return Edit(line_end, line_end, _text(indent, lines))


def instead(code: Code, statement: ast.stmt, *lines: str) -> Edit | None:
    """Put lines in the place of a statement."""
    indent = _indent(code, statement)
    if indent is None:
        return None
    start, end = code.source.span(statement)
    return Edit(start, end, _text(indent, lines).strip())


def indented(code: Code, first: ast.stmt, last: ast.stmt) -> list[Edit] | None:
    """Indent the lines from one statement to another by one step; texts over several lines keep their content."""
    if _indent(code, first) is None or _indent(code, last) is None:
        return None
    start, end = _first_line(first), last.end_lineno or last.lineno
    fixed = _lines_in_texts(code)
    wanted = [number for number in range(start, end + 1) if number not in fixed and code.source.line(number).strip()]
    starts = [code.source.line_starts[number - 1] for number in wanted]
    return [Edit(place, place, STEP) for place in starts]


def mutation(code: Code, place: ast.expr | ast.stmt, *edits: Edit | None) -> list[Mutation]:
    """Return a mutation at a place, or nothing where one of its edits cannot be made."""
    if any(edit is None for edit in edits):
        return []
    made = tuple(edit for edit in edits if edit is not None)
    end = place.end_lineno if not isinstance(place, ast.With | ast.For | ast.If) else place.lineno
    return [Mutation(edits=made, line=place.lineno, end_line=end or place.lineno)]


def _indent(code: Code, statement: ast.stmt) -> str | None:
    """Return the indentation of a statement that is the first on its line; None where another stands before it."""
    start = code.source.span(statement)[0] if not _decorators(statement) else None
    if start is None:
        return code.source.indent(_first_line(statement))
    line_start = code.source.line_starts[statement.lineno - 1]
    indent = code.source.text[line_start:start]
    return indent if not indent.strip() else None


def _first_line(statement: ast.stmt) -> int:
    return min([statement.lineno, *(item.lineno for item in _decorators(statement))])


def _decorators(statement: ast.stmt) -> Sequence[ast.expr]:
    return getattr(statement, "decorator_list", [])


def _text(indent: str, lines: Sequence[str]) -> str:
    return "".join(f"{indent}{line}\n" if line else "\n" for line in lines)


def _lines_in_texts(code: Code) -> set[int]:
    """Return the lines that begin inside a string."""
    found: set[int] = set()
    for node in code.nodes:
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)):
            found |= set(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    return found
