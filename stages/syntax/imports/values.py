"""Decides what an expression is worth in a simulated frame, where that is known; nothing is run for it."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages._source.walking import walk
from stages.syntax.imports.expressions import chain_of
from stages.syntax.imports.simulated import Literal, ModuleRef, Outside, Standard, Thing, Value

if TYPE_CHECKING:
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.program import Chain
    from stages.syntax.imports.reading import Reading
    from stages.syntax.imports.simulated import Failed, Frame


_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """What one frame of an interpreter sees."""

    system: Reading
    frame: Frame
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Worth:
    """A value, None where it is unknown. `cause`: it is this one only because an import failed, or came too early."""

    value: Value = None
    cause: Failed | None = None


def worth(node: ast.expr, view: View) -> Worth:
    """Return what evaluating the expression gives, once all that it reads and imports has been seen to work."""
    if isinstance(node, ast.Constant):
        return Worth(Literal(node.value))
    if chain := chain_of(node):
        return _named(chain, node, view)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        outcome, cause = truth(node.operand, view)
        return Worth(None if outcome is None else Literal(not outcome), cause)
    if isinstance(node, ast.BoolOp):
        return _joined(node, view)
    if isinstance(node, ast.IfExp):
        outcome, cause = truth(node.test, view)
        if outcome is None:
            return Worth()
        chosen = worth(node.body if outcome else node.orelse, view)
        return Worth(chosen.value, cause or chosen.cause)
    if isinstance(node, ast.NamedExpr):
        return worth(node.value, view)
    if isinstance(node, ast.Compare):
        return _compared(node, view)
    if isinstance(node, ast.Attribute):
        return Worth(view.system.attribute(worth(node.value, view).value, node.attr))
    return _called(node, view) if isinstance(node, ast.Call) else Worth()


def truth(node: ast.expr, view: View) -> tuple[bool | None, Failed | None]:
    """Return whether the expression is true, None where unknown, and the failure that this rests on."""
    found = worth(node, view)
    value = view.system.settled(found.value) if isinstance(found.value, Outside) else found.value
    if value is None or isinstance(value, Standard):
        return None, None
    if isinstance(value, Literal):
        return bool(value.value), found.cause
    return (bool(value) if isinstance(value, tuple) else True), found.cause


def _named(chain: Chain, node: ast.expr, view: View) -> Worth:
    value = view.system.look_up(chain, view.frame)
    if value is not None:
        return Worth(value, value.cause if isinstance(value, Literal) else None)
    outcome = view.conditions.decide(node)
    return Worth(None if outcome is None else Literal(outcome))


def _joined(node: ast.BoolOp, view: View) -> Worth:
    cause = None
    found = Worth()
    for operand in node.values:
        found = worth(operand, view)
        outcome, why = truth(operand, view)
        cause = cause or why
        if outcome is None:
            return Worth()
        if outcome is isinstance(node.op, ast.Or):
            break
    return Worth(found.value, cause)


def _compared(node: ast.Compare, view: View) -> Worth:
    outcome = view.conditions.decide(node)
    if outcome is not None:
        return Worth(Literal(outcome))
    if len(node.ops) != 1:
        return Worth()
    left = worth(node.left, view)
    sign = type(node.ops[0])
    if sign in (ast.In, ast.NotIn):
        inside = _is_among(left.value, node.comparators[0])
        return Worth(None if inside is None else Literal(inside is (sign is ast.In)), left.cause)
    right = worth(node.comparators[0], view)
    cause = left.cause or right.cause
    if sign in (ast.Is, ast.IsNot):
        same = _is_none(left.value, right.value, view)
        return Worth(None if same is None else Literal(same is (sign is ast.Is)), cause)
    if sign not in _COMPARE or not isinstance(left.value, Literal) or not isinstance(right.value, Literal):
        return Worth()
    try:
        return Worth(Literal(_COMPARE[sign](left.value.value, right.value.value)), cause)
    except TypeError:
        return Worth()


def _is_among(value: Value, node: ast.expr) -> bool | None:
    """Return whether a value is one of those that a container holds, all of them written out."""
    if not isinstance(value, Literal) or not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None
    items = [item.value for item in node.elts if isinstance(item, ast.Constant)]
    return value.value in items if len(items) == len(node.elts) else None


def _is_none(left: Value, right: Value, view: View) -> bool | None:
    """Return whether two values are the same, where one is None, True or False."""
    sides = [view.system.settled(value) if isinstance(value, Outside) else value for value in (left, right)]
    if any(side is None or isinstance(side, Standard) for side in sides):
        return None
    first, second = sides
    if isinstance(first, Literal) and isinstance(second, Literal):
        single = {None: None, True: True, False: False}
        known = any(side.value is item for side in (first, second) for item in single)
        return first.value is second.value if known else None
    return False if isinstance(first, Literal) or isinstance(second, Literal) else None


def _called(node: ast.Call, view: View) -> Worth:
    chain = chain_of(node.func)
    count = len(node.args)
    name = node.args[1] if count in (2, 3) else None
    if chain not in {("hasattr",), ("getattr",)} or node.keywords:
        return Worth(view.system.imported(node))
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return Worth()
    owner = worth(node.args[0], view).value
    if not isinstance(owner, ModuleRef):
        return Worth()
    there = view.system.has(owner, name.value)
    cause = view.system.why_without(owner, name.value) if there is False else None
    if chain == ("hasattr",):
        return Worth(None if there is None else Literal(there), cause)
    if there:
        return Worth(view.system.attribute(owner, name.value))
    if there is None or count != 3:
        return Worth()
    default = worth(node.args[2], view)
    return Worth(default.value, cause or default.cause)


def literal_of(tree: ast.Module, name: str, constants: Mapping[str, object]) -> Value:
    """Return what a complete module's name holds, where one statement at its top level binds it; None if unknown."""
    if name in constants:
        return Literal(constants[name])
    bound = [node for node in tree.body if _defines(node, name)]
    others = sum(
        isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load) for node in walk(tree)
    )
    return Thing() if len(bound) == 1 and not others else None


def _defines(node: ast.stmt, name: str) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    return node.name == name and not node.decorator_list and not getattr(node, "keywords", ())
