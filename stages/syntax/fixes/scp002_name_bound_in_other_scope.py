"""Gives a name that another function imports to those that use it: at module level, or in each of them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.imports import add_at_top, add_in_function, at_top, bound_name, modules_of, written
from stages._source.rewriting.reading import Function, reading
from stages._source.rewriting.statements import remove
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.rewriting.imports import Import
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext

_ALSO = "also used here"
_MORE = "and on "


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    path, name = finding.location.path, finding.symbol
    read = reading(context, path)
    if read is None or name is None or any(one.message.startswith(_MORE) for one in finding.related):
        return None
    uses = _uses(read, finding, name)
    bindings = [one for one in finding.related if not one.message.startswith(_ALSO)]
    if not uses or not bindings:
        return None
    if all(one.message.startswith("imported") for one in bindings):
        return _imported(read, name, uses, [one.location.line for one in bindings])
    return _of_class(read, name, uses)


def _uses(read: Reading, finding: Finding, name: str) -> list[ast.Name]:
    lines = {finding.location.line, *(one.location.line for one in finding.related if one.message.startswith(_ALSO))}
    loads = (node for node in read.nodes(read.tree, ast.Name) if node.id == name and isinstance(node.ctx, ast.Load))
    return [node for node in loads if node.lineno in lines]


def _imported(read: Reading, name: str, uses: Sequence[ast.Name], lines: Sequence[int]) -> Repair | None:
    found = [_statement(read, name, line) for line in lines]
    if None in found:
        return None
    pairs = [pair for pair in found if pair is not None]
    codes = {written(statement, alias) for statement, alias in pairs}
    if len(codes) != 1:
        return None  # it is one thing here and another there
    code = codes.pop()
    package = modules_of(pairs[0][0])[0].split(".")[0]
    loaded = {module.split(".")[0] for node in at_top(read) for module in modules_of(node)}
    plain = not any(_is_guarded(read, statement) for statement, _ in pairs)
    if plain and package and package in loaded:
        return _at_module_level(read, code, package, uses, [statement for statement, _ in pairs])
    return _in_functions(read, code, uses)


def _statement(read: Reading, name: str, line: int) -> tuple[Import, ast.alias] | None:
    for node in read.imports():
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            return next(((node, alias) for alias in node.names if bound_name(alias) == name), None)
    return None


def _is_guarded(read: Reading, statement: Import) -> bool:
    """Say whether the file has its doubts: under a test or a `try` the import may be one that fails elsewhere."""
    return any(isinstance(outer, ast.If | ast.Try) for outer in read.around(statement))


def _at_module_level(
    read: Reading, code: str, package: str, uses: Sequence[ast.Name], statements: Sequence[Import]
) -> Repair | None:
    """Move the import up: its package is loaded there already, so nothing new is loaded and nothing can be missing."""
    loading = [node.lineno for node in uses if isinstance(read.function(node), ast.Module)]
    edit = add_at_top(read, code, package, above=min(loading, default=None))
    if edit is None:
        return None
    edits = [edit]
    for statement in statements:
        plain = isinstance(read.parents.get(statement), Function) and len(statement.names) == 1
        gone = remove(read, statement) if plain and len(read.block(statement)) > 1 else None
        edits += [gone] if gone is not None else []
    moved = "moves" if len(edits) == 1 + len(statements) else "adds"
    return Repair(edits={read.path: tuple(edits)}, what=f"{moved} `{code}` to module level")


def _in_functions(read: Reading, code: str, uses: Sequence[ast.Name]) -> Repair | None:
    """Repeat the import in the functions that use it: what it loads may be heavy, missing, or import this file."""
    functions = list(dict.fromkeys(read.function(node) for node in uses))
    edits: list[Edit] = []
    for function in functions:
        inside = not isinstance(function, ast.Module) and all(
            _in_body(read, function, node) for node in uses if read.function(node) is function
        )
        edit = add_in_function(read, function, code) if inside and not isinstance(function, ast.Module) else None
        if edit is None:
            return None
        edits.append(edit)
    names = ", ".join(f"{function.name}()" for function in functions if not isinstance(function, ast.Module))
    return Repair(edits={read.path: tuple(edits)}, what=f"adds `{code}` to {names}")


def _in_body(read: Reading, function: Function, node: ast.AST) -> bool:
    """Say whether a node runs when the function is called: decorators and defaults run before."""
    inner: ast.AST = node
    for outer in read.around(node):
        if outer is function:
            return inner in function.body
        inner = outer
    return False


def _of_class(read: Reading, name: str, uses: Sequence[ast.Name]) -> Repair | None:
    """Write `self.name` in methods of the very class whose body binds the name."""
    edits: list[Edit] = []
    for node in uses:
        function = read.function(node)
        owner = read.parents.get(function)
        if isinstance(function, ast.Module) or not isinstance(owner, ast.ClassDef) or function.decorator_list:
            return None
        given = [*function.args.posonlyargs, *function.args.args]
        bound = any(_binds(statement, name) for statement in owner.body)
        if not given or given[0].arg != "self" or not bound or not _in_body(read, function, node):
            return None
        start, _ = read.text.span(node)
        edits.append(Edit(start, start, "self."))
    return Repair(edits={read.path: tuple(edits)}, what=f"writes `self.{name}`", safety="unsafe")


def _binds(statement: ast.stmt, name: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets) or (
        isinstance(statement, Function) and statement.name == name
    )


FIX = Fix(
    rule="SCP002",
    safety="safe",
    summary=(
        "Moves the import to module level where its package is loaded there anyway, else repeats it in the functions"
        " that use the name; writes `self.name` for a name of the class (unsafe)."
    ),
    repair=_repair,
    declines="the name is bound by something else than imports of one and the same thing, or used while the file loads",
)
