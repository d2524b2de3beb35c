"""Makes a file end the process where a mutant's place is reached, to tell what runs from what never does."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from verifier.edits import Edit, SourceText

if TYPE_CHECKING:
    from verifier.sources import SourceFile

_MARKER = '__import__("os")._exit(86)'  # nothing catches it, and no test passes after it


def marked(file: SourceFile, line: int) -> bytes | None:
    """Return the file with a statement that ends the process before the one at a line; None where none can stand."""
    if file.data is None:
        return None
    source = SourceText.of(file.data)
    around = [node for node in ast.walk(ast.parse(file.data)) if isinstance(node, ast.stmt) and _covers(node, line)]
    for statement in sorted(around, key=lambda node: (-_first_line(node), node.col_offset)):
        start = source.line_starts[_first_line(statement) - 1]
        data = source.edited([Edit(start, start, f"{source.indent(_first_line(statement))}{_MARKER}\n")])
        try:
            compile(data, file.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):  # before an `elif`, say: then what is around it
            continue
        return data
    return None


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(item.lineno for item in decorators)])


def _covers(node: ast.stmt, line: int) -> bool:
    return _first_line(node) <= line <= (node.end_lineno or node.lineno)
