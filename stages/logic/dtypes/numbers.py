"""Decides which number an expression is: a literal, a constant of a module or class, a default, a limit of a dtype."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from stages._source.program.origins import attribute_bindings, origins
from stages._source.program.scopes import self_class

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stages._source.program.project import Project
    from stages._source.program.scopes import Binding, Scope

_DEEPEST = 8
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda first, second: first + second,
    ast.Sub: lambda first, second: first - second,
    ast.Mult: lambda first, second: first * second,
    ast.Div: lambda first, second: first / second,
    ast.Pow: math.pow,
}
_NAMED = {"math.inf": math.inf, "numpy.inf": math.inf, "torch.inf": math.inf, "math.pi": math.pi, "torch.pi": math.pi}
_LIMITS = {  # of finfo: min, max, eps, tiny
    "float32": (-3.4028235e38, 3.4028235e38, 1.1920929e-07, 1.1754944e-38),
    "float": (-3.4028235e38, 3.4028235e38, 1.1920929e-07, 1.1754944e-38),
    "float64": (-1.7976931e308, 1.7976931e308, 2.220446e-16, 2.2250739e-308),
    "double": (-1.7976931e308, 1.7976931e308, 2.220446e-16, 2.2250739e-308),
    "bfloat16": (-3.3895314e38, 3.3895314e38, 0.0078125, 1.1754944e-38),
    "float16": (-65504.0, 65504.0, 0.00097656, 6.1035156e-05),
    "half": (-65504.0, 65504.0, 0.00097656, 6.1035156e-05),
}
_LIMIT_NAMES = {"min": 0, "max": 1, "eps": 2, "tiny": 3, "smallest_normal": 3}


def number_of(project: Project, node: ast.expr, scope: Scope, depth: int = 0) -> float | None:
    """Return the number, None where it is not known."""
    if depth > _DEEPEST:
        return None
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as value):
            return _finite(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = number_of(project, operand, scope, depth + 1)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=op, right=right):
            return _computed(
                number_of(project, left, scope, depth + 1), op, number_of(project, right, scope, depth + 1)
            )
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() as text)]):
            return _parsed(text)
        case ast.Call(func=ast.Name(id="float"), args=[inner]):
            return number_of(project, inner, scope, depth + 1)
        case ast.Name(id=name):
            owner = scope.owner_of(name)
            return None if owner is None else _bound(project, owner.bindings.get(name, ()), depth)
        case ast.Attribute():
            return _of_attribute(project, node, scope, depth)
    return None


def _finite(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _parsed(text: str | float) -> float | None:
    try:
        return float(text)
    except (ValueError, OverflowError):
        return None


def _computed(first: float | None, op: ast.operator, second: float | None) -> float | None:
    operation = _OPERATIONS.get(type(op))
    if first is None or second is None or operation is None:
        return None
    try:
        return operation(first, second)
    except (ArithmeticError, ValueError):
        return None


def _bound(project: Project, bindings: Sequence[Binding], depth: int) -> float | None:
    """Return the number of a name that is bound once."""
    if len(bindings) != 1:
        return None
    binding = bindings[0]
    if binding.how == "import":
        split = project.split(binding.origin)
        if split is None or "." in split[1]:
            return _NAMED.get(binding.origin)
        module, name = split
        return _bound(project, module.scopes.root.bindings.get(name, ()), depth + 1)
    if binding.how in ("value", "parameter") and binding.value is not None:
        return number_of(project, binding.value, binding.scope, depth + 1)
    return None


def _of_attribute(project: Project, node: ast.Attribute, scope: Scope, depth: int) -> float | None:
    if isinstance(node.value, ast.Name) and (cls := self_class(scope, node.value.id)) is not None:
        return _bound(project, attribute_bindings(project, cls, node.attr), depth)
    if isinstance(node.value, ast.Call) and node.attr in _LIMIT_NAMES and len(node.value.args) == 1:
        made = origins(project, node.value.func, scope)
        of = {name.rpartition(".")[2] for name in origins(project, node.value.args[0], scope)}
        if made & {"torch.finfo", "numpy.finfo"} and len(of) == 1:
            return next((_LIMITS[name][_LIMIT_NAMES[node.attr]] for name in of if name in _LIMITS), None)
        return None
    for name in origins(project, node, scope):
        if name in _NAMED:
            return _NAMED[name]
        split = project.split(name)
        if split is not None and split[1] and "." not in split[1]:
            return _bound(project, split[0].scopes.root.bindings.get(split[1], ()), depth + 1)
    return None
