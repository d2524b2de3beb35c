"""Arithmetic: what becomes of the loss scale when tensors and numbers are combined."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.engine.events import GradsEdited
from stages.logic.engine.plain import is_plain, may_be_scaled
from stages.logic.engine.values import (
    Const,
    Gradient,
    Items,
    Params,
    ScaleNumber,
    Tensor,
    Unknown,
    Value,
    fresh,
    key_of,
)

if TYPE_CHECKING:
    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.walker import Walker

_DEEPEST = 8  # arithmetic that is recognised when it is written again


def combined(
    walker: Walker, attempt: Attempt, node: ast.BinOp, left: Value, op: ast.operator, right: Value, *, in_place: bool
) -> Value:
    """Return `left op right`."""
    if isinstance(left, Gradient) and in_place:
        _edit(walker, attempt, node, left, op, right)
        return left
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return _scaled(left, op, right, node)
    if isinstance(left, ScaleNumber) or isinstance(right, ScaleNumber):
        return left if isinstance(left, ScaleNumber) else right
    if isinstance(op, ast.Add) and isinstance(left, Items) and isinstance(right, Items):
        return Items((*left.values, *right.values))
    if isinstance(op, ast.Add) and isinstance(left, Params) and isinstance(right, Params):
        return Params(left.of | right.of if left.of and right.of else frozenset())
    if isinstance(left, Const) and isinstance(right, Const):
        return _folded(left, op, right, node)
    first, second = key_of(left), key_of(right)
    if in_place or _depth(first) + _depth(second) > _DEEPEST:
        maybe = may_be_scaled(("operation", type(op).__name__, first, second))
        return fresh("call-maybe-scaled" if maybe else "operation", node)
    return Unknown(("operation", type(op).__name__, first, second))


def _depth(key: object) -> int:
    return 1 + max(map(_depth, key), default=0) if isinstance(key, tuple) else 0


def _scaled(left: Value, op: ast.operator, right: Value, node: ast.AST) -> Value:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if isinstance(op, ast.Add | ast.Sub):
            same = set(left.scalers) == set(right.scalers)
            mixed_at = left.mixed_at or right.mixed_at or (None if same else node)
            return Tensor(left.scalers, left.mixed or right.mixed or not same, left.site, mixed_at)
        return Tensor((*left.scalers, *right.scalers), left.mixed or right.mixed, left.site)
    tensor, other = (left, right) if isinstance(left, Tensor) else (right, left)
    assert isinstance(tensor, Tensor)
    if isinstance(op, ast.Add | ast.Sub):
        if is_plain(other):
            return Tensor(tensor.scalers, True, tensor.site, node)
        return tensor if isinstance(other, Const) else fresh("call-maybe-scaled", node)
    if isinstance(other, ScaleNumber):
        return fresh("operation", node)
    return tensor


def _edit(walker: Walker, attempt: Attempt, node: ast.BinOp, grads: Gradient, op: ast.operator, right: Value) -> None:
    linear = isinstance(op, ast.Mult | ast.Div)
    event = GradsEdited(
        place=attempt.frame.place(node),
        state=attempt.state.copy(),
        grads=grads,
        how="an augmented assignment",
        linear=linear,
        by_scale=linear and not isinstance(right, Const),
    )
    walker.engine.grads_edited(attempt, event)


def _folded(left: Const, op: ast.operator, right: Const, node: ast.AST) -> Value:
    try:
        match op, left.value, right.value:
            case ast.Pow(), int() | float() as base, int() | float() as power if abs(power) <= 64:
                return Const(base**power)
            case ast.Mult(), int() | float() as first, int() | float() as second:
                return Const(first * second)
            case ast.Div(), int() | float() as first, int() | float() as second if second:
                return Const(first / second)
            case ast.Add(), int() | float() as first, int() | float() as second:
                return Const(first + second)
            case ast.Sub(), int() | float() as first, int() | float() as second:
                return Const(first - second)
    except (ArithmeticError, ValueError):
        pass
    return fresh("operation", node)
