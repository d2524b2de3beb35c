"""Edits that add imports: at module level beside their like, or at the top of a function."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.statements import after, before

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Function, Reading
    from verifier.api import Edit

Import = ast.Import | ast.ImportFrom


def bound_name(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def modules_of(statement: Import) -> list[str]:
    """Return the dotted names of the modules that a statement loads; a relative one starts with its dots."""
    if isinstance(statement, ast.ImportFrom):
        return ["." * statement.level + (statement.module or "")]
    return [item.name for item in statement.names]


def written(statement: Import, alias: ast.alias) -> str:
    """Return the statement that imports only one of the names."""
    name = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
    if isinstance(statement, ast.Import):
        return f"import {name}"
    return f"from {modules_of(statement)[0]} import {name}"


def at_top(reading: Reading) -> list[Import]:
    """Return the imports that stand at module level and always run."""
    return [node for node in reading.tree.body if isinstance(node, Import)]


def add_at_top(reading: Reading, code: str, package: str, *, above: int | None = None) -> Edit | None:
    """Return the edit that adds an import at module level, behind the last one of the same package or of any.

    Args:
        above: a line that it must stand above.
    """
    there = [node for node in _leading(reading) if above is None or (node.end_lineno or node.lineno) < above]
    alike = [node for node in there if any(name.split(".")[0] == package for name in modules_of(node))]
    if there:
        return after(reading.text, (alike or there)[-1], code)
    body = reading.tree.body
    if not body:
        return None
    if (
        isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        return after(reading.text, body[0], f"\n{code}")
    return before(reading.text, body[0], code)


def _leading(reading: Reading) -> list[Import]:
    """Return the imports at the head of a module: those above its first function, class or loop."""
    found: list[Import] = []
    for node in reading.tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.For | ast.While | ast.With):
            break
        if isinstance(node, Import):
            found.append(node)
    return found


def add_in_function(reading: Reading, function: Function, code: str) -> Edit | None:
    """Return the edit that adds an import at the top of a function, behind its docstring."""
    first = function.body[0]
    if _is_docstring(first):
        if len(function.body) == 1:
            return after(reading.text, first, code)
        first = function.body[1]
    return before(reading.text, first, code, apart=not isinstance(first, Import))


def add_for_type_checking(reading: Reading, code: str) -> list[Edit] | None:
    """Return the edits that add an import below `if TYPE_CHECKING:`, which is made where there is none."""
    for node in reading.tree.body:
        if isinstance(node, ast.If) and not node.orelse and _asks_for_types(node.test):
            edit = after(reading.text, node.body[-1], code)
            return [edit] if edit is not None else None
    there = _leading(reading)
    if not there:
        return None
    body = "\n".join(f"    {line}" for line in code.split("\n"))
    block = after(reading.text, there[-1], f"\nif TYPE_CHECKING:\n{body}")
    if block is None or "TYPE_CHECKING" in reading.bound():
        return [block] if block is not None else None
    name = add_at_top(reading, "from typing import TYPE_CHECKING", "typing")
    return [name, block] if name is not None else None


def _asks_for_types(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
