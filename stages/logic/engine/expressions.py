"""What an expression stands for, at one point of one path."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.engine.attempt import Attempt, condition
from stages.logic.engine.attributes import attribute, store
from stages.logic.engine.calls import call
from stages.logic.engine.names import look_up
from stages.logic.engine.tensors import combined
from stages.logic.engine.values import (
    FALSE,
    NONE,
    TRUE,
    Const,
    Items,
    Optimizer,
    Params,
    Scaler,
    Table,
    Unknown,
    Value,
    fresh,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from stages.logic.engine.values import Key
    from stages.logic.engine.walker import Walker

_DEEPEST = 40  # nested expressions; deeper ones hold no training step


def evaluate(  # noqa: PLR0912 - one arm for each kind of node
    walker: Walker, attempt: Attempt, node: ast.expr, *, dropped: bool = False, in_place: bool = False
) -> Value:
    """Return what an expression stands for; calls in it take effect on the attempt's state.

    Args:
        dropped: nobody uses the value.
        in_place: the expression is the new value of an augmented assignment.
    """
    match node:
        case ast.Constant(value=value):
            return Const(value) if not isinstance(value, type(...)) else fresh("ellipsis")
        case ast.Name(id=name):
            return look_up(walker, attempt, name)
        case ast.Attribute(value=inner, attr=attr):
            return attribute(walker, attempt, evaluate(walker, attempt, inner), attr, node)
        case ast.Call():
            return call(walker, attempt, node, dropped=dropped)
        case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return _condition(walker, attempt, node)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return evaluate(walker, attempt, body if branch(walker, attempt, test) else orelse)
        case ast.BinOp(left=left, op=op, right=right):
            first, second = evaluate(walker, attempt, left), evaluate(walker, attempt, right)
            return combined(walker, attempt, node, first, op, second, in_place=in_place)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return Const(-number)
        case ast.UnaryOp(operand=inner) | ast.Starred(value=inner) | ast.FormattedValue(value=inner):
            return evaluate(walker, attempt, inner)
        case ast.Await(value=inner) | ast.YieldFrom(value=inner):
            evaluate(walker, attempt, inner)
            return fresh("call", node)
        case ast.Tuple() | ast.List() | ast.Set():
            kind = "tuple" if isinstance(node, ast.Tuple) else "list"
            return Items(tuple(_elements(walker, attempt, node.elts)), kind)  # type: ignore[arg-type]
        case ast.Dict():
            return _table(walker, attempt, node)
        case ast.NamedExpr(target=target, value=inner):
            named = evaluate(walker, attempt, inner)
            assign(walker, attempt, target, named)
            return named
        case ast.Subscript(value=inner, slice=index):
            return _subscript(walker, attempt, inner, index)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            return _comprehension(walker, attempt, node)
        case ast.JoinedStr(values=values):
            for part in values:
                evaluate(walker, attempt, part)
            return fresh("text", node)
        case ast.Yield(value=inner):
            if inner is not None:
                evaluate(walker, attempt, inner)
            walker.engine.yielded(attempt, node)
            return fresh("sent", node)
    return fresh("expression", node)


def branch(walker: Walker, attempt: Attempt, test: ast.expr) -> bool:
    """Say how a test goes on this path, evaluating no more of it than Python does."""
    match test:
        case ast.BoolOp():
            return _compound(walker, attempt, test)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return not branch(walker, attempt, inner)
        case ast.Compare(left=left, ops=[ast.Is() | ast.Eq() as op], comparators=[ast.Constant(value=None)]):
            return _none_test(walker, attempt, left, op, test)
        case ast.Compare(left=left, ops=[ast.IsNot() | ast.NotEq()], comparators=[ast.Constant(value=None)]):
            return not _none_test(walker, attempt, left, ast.Is(), test)
    value = evaluate(walker, attempt, test)
    if isinstance(value, Scaler | Optimizer) and value.assumed:
        return not attempt.is_none(value, test, rebind=lambda none: assign(walker, attempt, test, none))
    return attempt.decide(value, test)


def _compound(walker: Walker, attempt: Attempt, test: ast.BoolOp) -> bool:
    """Decide `a and b` part by part, and remember the whole: which part failed is forgotten where paths meet again."""
    key = (
        None
        if any(isinstance(node, ast.Call | ast.NamedExpr) for node in ast.walk(test))
        else _whole(walker, attempt, test)
    )
    if key is not None and key in attempt.state.facts:
        return attempt.state.facts[key]
    decide = all if isinstance(test.op, ast.And) else any
    outcome = decide(branch(walker, attempt, value) for value in test.values)
    if key is not None:
        attempt.state.facts = {**attempt.state.facts, key: outcome}
    return outcome


def _whole(walker: Walker, attempt: Attempt, test: ast.expr) -> Key | None:
    """Return what makes a test without effects the same test again: its text, and the values that it asks for."""
    parts: list[Hashable] = [ast.dump(test)]
    waiting: list[ast.AST] = [test]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.Name | ast.Attribute):
            waiting += ast.iter_child_nodes(node)
            continue
        value = evaluate(walker, attempt, node)
        if isinstance(value, Const | Scaler | Optimizer):
            return None  # a part is decided by what it is, and the rest decides alone
        parts.append(key_of(value))
    return ("whole", *parts)


def assign(walker: Walker, attempt: Attempt, target: ast.expr, value: Value) -> None:
    """Bind a target. What cannot be followed is forgotten, never kept."""
    match target:
        case ast.Name(id=name):
            walker.engine.bind(attempt, name, value)
        case ast.Attribute(value=inner, attr=attr):
            store(walker, attempt, evaluate(walker, attempt, inner), attr, value, target)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            parts = _unpacked(value, elements)
            for element, part in zip(elements, parts, strict=True):
                assign(walker, attempt, element.value if isinstance(element, ast.Starred) else element, part)
        case ast.Subscript(value=inner, slice=index):
            base = evaluate(walker, attempt, inner)
            key = evaluate(walker, attempt, index)
            walker.engine.stored_item(attempt, base, key, value, target)


def forget_target(attempt: Attempt, target: ast.expr) -> None:
    """Do `del name`."""
    if isinstance(target, ast.Name):
        owner = attempt.frame.scope.owner_of(target.id)
        if (owner, target.id) in attempt.state.env:
            del attempt.state.env[(owner, target.id)]


def _none_test(walker: Walker, attempt: Attempt, left: ast.expr, op: ast.cmpop, test: ast.expr) -> bool:
    value = evaluate(walker, attempt, left)
    return attempt.is_none(value, test, rebind=lambda none: assign(walker, attempt, left, none))


def _condition(walker: Walker, attempt: Attempt, node: ast.expr) -> Value:
    """Return a test as a value, not decided yet, so that a flag that is made of it answers as it does."""
    match node:
        case ast.UnaryOp(operand=inner):
            value = evaluate(walker, attempt, inner)
            known = attempt.truth(value)
            return condition("not", key_of(value)) if known is None else (FALSE if known else TRUE)
        case ast.BoolOp(op=op, values=values):
            return _junction(walker, attempt, op, values)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _comparison(walker, attempt, left, op, right, node)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            evaluate(walker, attempt, child)
    return fresh("comparison", node)


def _junction(walker: Walker, attempt: Attempt, op: ast.boolop, values: list[ast.expr]) -> Value:
    ends_it = isinstance(op, ast.Or)
    parts: list[Value] = []
    for item in values:
        value = evaluate(walker, attempt, item)
        known = attempt.truth(value)
        if known is ends_it and not parts:
            return value
        if known is None or known is ends_it:
            parts.append(value)
        elif item is values[-1] and not parts:
            return value
    if not parts:
        return FALSE if ends_it else TRUE
    if len(parts) == 1:
        return parts[0]
    return condition("or" if ends_it else "and", *(key_of(part) for part in parts))


def _comparison(
    walker: Walker, attempt: Attempt, left: ast.expr, op: ast.cmpop, right: ast.expr, node: ast.expr
) -> Value:
    first, second = evaluate(walker, attempt, left), evaluate(walker, attempt, right)
    negated = isinstance(op, ast.IsNot | ast.NotEq | ast.NotIn)
    if isinstance(op, ast.Is | ast.IsNot | ast.Eq | ast.NotEq):
        if second == NONE and isinstance(op, ast.Is | ast.IsNot | ast.Eq | ast.NotEq):
            none = attempt.is_none(first, node, rebind=lambda value: assign(walker, attempt, left, value))
            return TRUE if none is not negated else FALSE
        if isinstance(first, Const) and isinstance(second, Const):
            return Const((first.value == second.value) is not negated)
        if isinstance(first, Const):
            first, second = second, first
        found = condition("equal", key_of(first), key_of(second))
    elif isinstance(op, ast.In | ast.NotIn):
        if isinstance(second, Items) and isinstance(first, Const) and all(isinstance(v, Const) for v in second.values):
            return Const((first in second.values) is not negated)
        if isinstance(second, Items) and len(second.values) <= 6:
            equal = [condition("equal", key_of(first), key_of(item)).key for item in second.values]
            found = condition("or", *equal)
        else:
            found = condition("in", key_of(first), key_of(second))
    else:
        return condition("compare", (type(op).__name__,), key_of(first), key_of(second))
    known = attempt.truth(found)
    if known is not None:
        return Const(known is not negated)
    return condition("not", found.key) if negated else found


def _elements(walker: Walker, attempt: Attempt, elements: list[ast.expr]) -> list[Value]:
    found: list[Value] = []
    for element in elements:
        value = evaluate(walker, attempt, element)
        if isinstance(element, ast.Starred) and isinstance(value, Items):
            found += value.values
        else:
            found.append(value)
    return found


def _table(walker: Walker, attempt: Attempt, node: ast.Dict) -> Value:
    entries: list[tuple[str, Value]] = []
    whole = True
    for key, item in zip(node.keys, node.values, strict=True):
        value = evaluate(walker, attempt, item)
        name = evaluate(walker, attempt, key) if key is not None else None
        if isinstance(name, Const) and isinstance(name.value, str):
            entries.append((name.value, value))
        elif key is None and isinstance(value, Table):
            entries += value.entries
            whole = whole and value.whole
        else:
            whole = False
    return Table(tuple(entries), whole)


def _subscript(walker: Walker, attempt: Attempt, inner: ast.expr, index: ast.expr) -> Value:
    base, key = evaluate(walker, attempt, inner), evaluate(walker, attempt, index)
    if isinstance(base, Items) and isinstance(key, Const) and isinstance(key.value, int):
        return _at_index(base, key.value)
    if isinstance(base, Table) and isinstance(key, Const):
        for name, value in base.entries:
            if name == key.value:
                return value
    if isinstance(base, Params) and (key == Const("params") or not _is_text(key)):
        return base
    stored = attempt.state.heap.get((key_of(base), key_of(key)))
    return stored if stored is not None else Unknown(("item", key_of(base), key_of(key)))


def _is_text(key: Value) -> bool:
    return isinstance(key, Const) and isinstance(key.value, str)


def _at_index(items: Items, index: int) -> Value:
    if -len(items.values) <= index < len(items.values):
        return items.values[index]
    return Unknown(("item", key_of(items), ("const", "int", index)))


def _comprehension(
    walker: Walker, attempt: Attempt, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
) -> Value:
    """Keep a list of parameters, or of their gradients, what it is; what happens inside happens once."""
    outside = attempt.frame
    attempt.frame = walker.engine.comprehension_frame(outside, node)
    try:
        return _built(walker, attempt, node)
    finally:
        attempt.frame = outside


def _built(
    walker: Walker, attempt: Attempt, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
) -> Value:
    value: Value = fresh("built", node)
    for generator in node.generators:
        value = evaluate(walker, attempt, generator.iter)
        assign(walker, attempt, generator.target, walker.engine.element_of(value, generator))
        for test in generator.ifs:
            evaluate(walker, attempt, test)
    results = [evaluate(walker, attempt, part) for part in _parts(node)]
    result = results[-1]
    if isinstance(value, Items) and not isinstance(node, ast.DictComp) and len(value.values) == 1:
        return Items((result,))
    return walker.engine.collected(result, node)


def _parts(node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> list[ast.expr]:
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


def _unpacked(value: Value, elements: list[ast.expr]) -> list[Value]:
    starred = any(isinstance(element, ast.Starred) for element in elements)
    if isinstance(value, Items) and len(value.values) == len(elements) and not starred:
        return list(value.values)
    if isinstance(value, Params) and len(elements) == 2:  # of `named_parameters()`
        return [fresh("text", elements[0]), value]
    return [Unknown(("item", key_of(value), ("const", "int", index))) for index in range(len(elements))]
