"""Decides, from a syntax tree, what every import statement is: eager, lazy, guarded, type-only or conditional."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late
from stages._source.walking import walk
from stages.syntax.imports.conditions import Conditions, is_type_checking
from stages.syntax.names.scopes import mangled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


Kind = Literal["eager", "lazy", "guarded", "type-only", "conditional"]

CATCHES_IMPORT_ERROR = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_AVAILABILITY = late(
    r"(?i)avail|find_spec|install|\bhas_|_has\b|\bhave_|importorskip|support|_version|requires_"
    r"|requirement|enabled"
)
_EXISTENCE = late(r"exists|isfile|is_file|find_spec")  # asks for the file itself


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """One import statement (one record per module of `import a, b`).

    Args:
        module: as written, or as a class around it changes a private name; "" in `from . import x`.
        level: leading dots.
        names: imported name -> name it is bound to, in order; None for `import a.b`.
        alias: of `import a.b as alias`.
        kind: what decides whether it runs when the module is imported.
        guarded: a failing import is caught here, is itself the way out of one, or is tried only if its file exists.
        optional: it is tried only where something says that some library is there.
        applies: False where the target's version or platform never takes this branch.
        scope: qualified name of the enclosing function or class, "" at module level.
    """

    line: int
    column: int
    end_line: int
    statement: str
    module: str
    level: int
    names: tuple[tuple[str, str], ...] | None
    alias: str | None
    kind: Kind
    guarded: bool
    optional: bool
    applies: bool
    scope: str


@dataclass(frozen=True, slots=True)
class _Place:
    function: bool = False
    guarded: bool = False
    optional: bool = False
    type_only: bool = False
    conditional: bool = False
    applies: bool = True
    scope: str = ""
    class_name: str | None = None

    def kind(self) -> Kind:
        if self.type_only:
            return "type-only"
        if self.function:
            return "lazy"
        if self.guarded:
            return "guarded"
        return "conditional" if self.conditional else "eager"


def import_records(tree: ast.Module, conditions: Conditions) -> tuple[ImportRecord, ...]:
    """Return every import statement of a module, in source order."""
    return tuple(_in_block(tree.body, _Place(), conditions))


def _in_block(body: Iterable[ast.stmt], place: _Place, conditions: Conditions) -> Iterator[ImportRecord]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _records(node, place)
        elif isinstance(node, ast.If):
            yield from _in_branch(node, place, conditions)
            if _leaves(node.body) and not node.orelse and _mentions_availability(node.test):
                place = replace(place, optional=True)  # if not is_x_available(): raise
        elif isinstance(node, ast.Try | ast.TryStar):
            yield from _in_try(node, place, conditions)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _in_definition(node, place, conditions)
        elif isinstance(node, ast.With | ast.AsyncWith):
            inner = replace(place, guarded=True) if any(_suppresses(item) for item in node.items) else place
            yield from _in_block(node.body, inner, conditions)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            yield from _in_block([*node.body, *node.orelse], replace(place, conditional=True), conditions)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                yield from _in_block(case.body, replace(place, conditional=True), conditions)
        elif _is_availability_call(node):
            place = replace(place, optional=True)


def _is_availability_call(node: ast.stmt) -> bool:
    """Recognise pytest.importorskip("x"), requires_backends(...) and the like."""
    call = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    return isinstance(call, ast.Call) and _mentions_availability(call.func)


def _in_branch(node: ast.If, place: _Place, conditions: Conditions) -> Iterator[ImportRecord]:
    outcome = conditions.decide(node.test)
    optional = place.optional or _mentions_availability(node.test)
    guarded = place.guarded or _mentions(_EXISTENCE, node.test)
    inside = replace(place, conditional=True, optional=optional, guarded=guarded)
    main_guard = _is_main_guard(node.test)
    if is_type_checking(node.test):
        yield from _in_block(node.body, replace(inside, type_only=True), conditions)
    else:
        taken = outcome is not False or main_guard
        yield from _in_block(node.body, replace(inside, applies=place.applies and taken), conditions)
    otherwise = outcome is not True
    yield from _in_block(node.orelse, replace(inside, applies=place.applies and otherwise), conditions)


def _in_try(node: ast.Try | ast.TryStar, place: _Place, conditions: Conditions) -> Iterator[ImportRecord]:
    guarded = place.guarded or any(catches(handler, CATCHES_IMPORT_ERROR) for handler in node.handlers)
    yield from _in_block(node.body, replace(place, guarded=guarded), conditions)
    fallback = replace(place, conditional=True)
    for handler in node.handlers:
        # one of two modules will do
        instead = place.guarded or catches(handler, frozenset({"ImportError", "ModuleNotFoundError"}))
        yield from _in_block(handler.body, replace(fallback, guarded=instead), conditions)
    # `else` runs only where what was tried is there
    yield from _in_block(node.orelse, replace(fallback, optional=guarded or place.optional), conditions)
    yield from _in_block(node.finalbody, place, conditions)


def _in_definition(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, place: _Place, conditions: Conditions
) -> Iterator[ImportRecord]:
    scope = f"{place.scope}.{node.name}" if place.scope else node.name
    if isinstance(node, ast.ClassDef):
        yield from _in_block(node.body, replace(place, scope=scope, class_name=node.name), conditions)
        return
    optional = place.optional or any(_mentions_availability(item) for item in node.decorator_list)
    # whoever guards the definition does not guard the call
    inner = replace(place, function=True, guarded=False, optional=optional or place.guarded, scope=scope)
    yield from _in_block(node.body, inner, conditions)


def _records(node: ast.Import | ast.ImportFrom, place: _Place) -> Iterator[ImportRecord]:
    kind = place.kind()
    end_line = node.end_lineno or node.lineno
    if isinstance(node, ast.ImportFrom):
        names = tuple(_pair(alias, place.class_name) for alias in node.names)
        yield ImportRecord(
            line=node.lineno, column=node.col_offset + 1, end_line=end_line, statement=import_text(node),
            module=mangled(node.module or "", place.class_name), level=node.level, names=names, alias=None,
            kind=kind, guarded=place.guarded, optional=place.optional, applies=place.applies, scope=place.scope,
        )  # fmt: skip
        return
    for alias in node.names:
        yield ImportRecord(
            line=node.lineno, column=node.col_offset + 1, end_line=end_line,
            statement=f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""),
            module=mangled(alias.name, place.class_name), level=0, names=None, alias=alias.asname,
            kind=kind, guarded=place.guarded, optional=place.optional, applies=place.applies, scope=place.scope,
        )  # fmt: skip


def _pair(alias: ast.alias, class_name: str | None) -> tuple[str, str]:
    """Return the name that is taken and the one it is bound to, as Python sees them inside a class."""
    return mangled(alias.name, class_name), mangled(alias.asname or alias.name, class_name)


def import_text(node: ast.ImportFrom) -> str:
    """Return the statement on one line."""
    names = ", ".join(f"{alias.name} as {alias.asname}" if alias.asname else alias.name for alias in node.names)
    return f"from {'.' * node.level}{node.module or ''} import {names}"


def catches(handler: ast.ExceptHandler, names: frozenset[str]) -> bool:
    """Say whether an except clause catches one of the named exceptions; a bare one catches all."""
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(_tail(item) in names for item in types)


def _tail(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call) or _tail(call.func) not in {"suppress", "raises"}:
        return False
    return any(_tail(argument) in CATCHES_IMPORT_ERROR for argument in call.args)


def _is_main_guard(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _mentions_availability(node: ast.expr) -> bool:
    return _mentions(_AVAILABILITY, node)


def _mentions(pattern: re.Pattern[str], node: ast.expr) -> bool:
    words = (getattr(item, "id", None) or getattr(item, "attr", None) for item in walk(node))
    return any(word is not None and pattern.search(word) for word in words)


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Raise | ast.Return | ast.Continue | ast.Expr)
