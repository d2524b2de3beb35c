"""Decides how many times pytest runs a test, and under which marks it is skipped."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import functions, origins, resolve_bindings
from stages.syntax.inventory.text import literal, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope

_DEPTH = 8
_EXPAND = frozenset(["parameterized.parameterized.expand", "parameterized.expand"])
_SAME_LENGTH = frozenset(["list", "tuple", "sorted", "enumerate", "reversed"])
_GATE_NAME = late(r"requires?(?:_\w+)?|skip\w*|RunIf|run_if\w*")


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A decorator or `pytestmark`, and the scope it is written in."""

    expr: ast.expr
    scope: Scope


def unfold(project: Project, mark: Mark, depth: int = 0) -> Iterator[Mark]:
    """Yield the marks behind a mark: members of a list, the value of a name that was given one."""
    if depth > _DEPTH:
        return
    if isinstance(mark.expr, ast.List | ast.Tuple):
        for item in mark.expr.elts:
            yield from unfold(project, Mark(item, mark.scope), depth + 1)
        return
    values = [
        Mark(binding.value, binding.scope)
        for binding in resolve_bindings(project, mark.expr, mark.scope)
        if binding.how == "value" and binding.value is not None
    ]
    for value in values:
        yield from unfold(project, value, depth + 1)
    if not values:
        yield mark


def combinations(project: Project, marks: Iterable[Mark]) -> int | None:
    """Return the product over all `parametrize` marks; None where one of them is not a literal."""
    counts = [count(project, values, mark.scope) for mark in marks if (values := _values(project, mark)) is not None]
    known = [size for size in counts if size is not None]
    return prod(known) if len(known) == len(counts) else None


def parametrized_names(project: Project, marks: Iterable[Mark]) -> set[str]:
    """Return the arguments that parametrisation fills in."""
    found: set[str] = set()
    for mark in marks:
        if not isinstance(mark.expr, ast.Call) or not _is_parametrize(project, mark):
            continue
        given = [*mark.expr.args[:1], *(item.value for item in mark.expr.keywords if item.arg == "argnames")]
        for names in map(literal, given):
            parts = names.split(",") if isinstance(names, str) else names if isinstance(names, list | tuple) else []
            found |= {str(name).strip() for name in parts}
    return found


def count(project: Project, expr: ast.expr, scope: Scope, depth: int = 0) -> int | None:
    """Return how many values an iterable written in the source has."""
    if depth > _DEPTH:
        return None
    match expr:
        case ast.List(elts=elts) | ast.Tuple(elts=elts) | ast.Set(elts=elts):
            sizes = [
                count(project, item.value, scope, depth + 1) if isinstance(item, ast.Starred) else 1 for item in elts
            ]
            return _total(sizes)
        case ast.Dict(keys=keys) if None not in keys:
            return len(keys)
        case ast.Constant(value=str(text)):
            return len(text)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _total([count(project, part, scope, depth + 1) for part in (left, right)])
        case ast.ListComp(generators=generators) | ast.GeneratorExp(generators=generators) if not any(
            generator.ifs for generator in generators
        ):
            return _product([count(project, generator.iter, scope, depth + 1) for generator in generators])
        case ast.Call():
            return _count_call(project, expr, scope, depth)
        case ast.Name():
            return _count_name(project, expr, scope, depth)
    return None


def skip_reasons(project: Project, marks: Iterable[Mark]) -> list[str]:
    """Return why, or under which condition, a test with these marks is skipped."""
    found: list[str] = []
    for mark in marks:
        reason = _skip(project, mark)
        if reason is not None and reason not in found:
            found.append(reason)
    return found


def _values(project: Project, mark: Mark) -> ast.expr | None:
    if not isinstance(mark.expr, ast.Call):
        return None
    called = origins(project, mark.expr.func, mark.scope)
    if called & _EXPAND:
        return mark.expr.args[0] if mark.expr.args else None
    if not _is_parametrize(project, mark):
        return None
    named = [item.value for item in mark.expr.keywords if item.arg == "argvalues"]
    return named[0] if named else mark.expr.args[1] if len(mark.expr.args) > 1 else None


def _is_parametrize(project: Project, mark: Mark) -> bool:
    called = mark.expr.func if isinstance(mark.expr, ast.Call) else mark.expr
    return "pytest.mark.parametrize" in origins(project, called, mark.scope)


def _count_call(project: Project, call: ast.Call, scope: Scope, depth: int) -> int | None:
    called = origins(project, call.func, scope)
    if "itertools.product" in called:
        repeat = next((literal(item.value) for item in call.keywords if item.arg == "repeat"), 1)
        sizes = [count(project, item, scope, depth + 1) for item in call.args]
        one = _product(sizes)
        return one**repeat if one is not None and isinstance(repeat, int) and 0 <= repeat <= 16 else None
    if "range" in called:
        bounds = [literal(item) for item in call.args]
        whole = [item for item in bounds if isinstance(item, int)]
        return len(range(*whole)) if bounds and len(whole) == len(bounds) and 0 not in whole[2:] else None
    if called & _SAME_LENGTH and call.args:
        return count(project, call.args[0], scope, depth + 1)
    if "zip" in called:
        known = [count(project, item, scope, depth + 1) for item in call.args]
        sure = [size for size in known if size is not None]
        return min(sure) if sure and len(sure) == len(known) else None
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("items", "keys", "values") and not call.args:
        return count(project, call.func.value, scope, depth + 1)
    return None


def _count_name(project: Project, name: ast.Name, scope: Scope, depth: int) -> int | None:
    """Count a name that is bound once: of two values, the source does not say which one counts."""
    bindings = resolve_bindings(project, name, scope)
    if len(bindings) != 1 or bindings[0].how != "value" or bindings[0].value is None:
        return None
    return count(project, bindings[0].value, bindings[0].scope, depth + 1)


def _total(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _product(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return prod(known) if len(known) == len(sizes) else None


def _skip(project: Project, mark: Mark) -> str | None:
    called = mark.expr.func if isinstance(mark.expr, ast.Call) else mark.expr
    names = origins(project, called, mark.scope)
    if "pytest.importorskip" in names:
        return f"if {text_of(_given(mark.expr, 0, 'modname'))} cannot be imported"
    if "pytest.skip" in names:  # at module level
        return _sentence("when the module is loaded", _argument(mark.expr, 0, "reason"))
    if names & {"pytest.mark.skip", "unittest.skip"}:
        return _sentence("always", _argument(mark.expr, 0, "reason"))
    if "pytest.mark.skipif" in names:
        return _sentence(f"if {text_of(_given(mark.expr, 0, 'condition'))}", _argument(mark.expr, None, "reason"))
    if "unittest.skipIf" in names:
        return _sentence(f"if {text_of(_given(mark.expr, 0, 'condition'))}", _argument(mark.expr, 1, "reason"))
    if "unittest.skipUnless" in names:
        return _sentence(f"unless {text_of(_given(mark.expr, 0, 'condition'))}", _argument(mark.expr, 1, "reason"))
    for function in functions(project, called, mark.scope):
        for value in function.returns:
            inner = value.func if isinstance(value, ast.Call) and isinstance(value.func, ast.Call) else value
            if isinstance(inner, ast.Call) and (reason := _skip_of_call(project, Mark(inner, function))) is not None:
                return reason
    if any(_GATE_NAME.fullmatch(name.rpartition(".")[2]) for name in names):
        return f"decided by @{text_of(mark.expr)}"
    return None


def _skip_of_call(project: Project, mark: Mark) -> str | None:
    names = origins(project, mark.expr.func, mark.scope) if isinstance(mark.expr, ast.Call) else frozenset()
    direct = {"pytest.mark.skip", "pytest.mark.skipif", "unittest.skip", "unittest.skipIf", "unittest.skipUnless"}
    return _skip(project, mark) if names & direct else None


def _given(expr: ast.expr, position: int | None, name: str) -> ast.expr | None:
    if not isinstance(expr, ast.Call):
        return None
    for keyword in expr.keywords:
        if keyword.arg == name:
            return keyword.value
    return expr.args[position] if position is not None and len(expr.args) > position else None


def _argument(expr: ast.expr, position: int | None, name: str) -> str:
    value = _given(expr, position, name)
    known = literal(value)
    return known if isinstance(known, str) else text_of(value)


def _sentence(condition: str, reason: str) -> str:
    return f"{condition}: {reason}" if reason else condition
