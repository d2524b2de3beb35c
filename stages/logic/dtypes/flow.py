"""Reads a function statement by statement: what its names are at each place, and the autocast around it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages.logic.dtypes.expressions import infer
from stages.logic.dtypes.known import NUMBER, UNKNOWN, Known, joined
from stages.logic.dtypes.regions import region_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.logic.dtypes.reading import Env, Reading

_SPLITS = ("chunk", "split", "unbind", "tensor_split")
_TURNS = 2  # of a loop: what the first leaves is what the second starts with


def read_body(reading: Reading, body: Sequence[ast.stmt], loop: ast.AST | None = None) -> bool:
    """Read statements in order. Returns whether the end of them can be reached."""
    for statement in body:
        if loop is not None:
            reading.unit.loops[statement] = loop
        if not _statement(reading, statement, loop):
            return False
    return True


def _statement(reading: Reading, node: ast.stmt, loop: ast.AST | None) -> bool:
    match node:
        case ast.Assign(targets=targets, value=value):
            known = infer(reading, value)
            for target in targets:
                _assign(reading, target, value, known)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            _assign(reading, target, value, infer(reading, value))
        case ast.AugAssign():
            _augment(reading, node)
        case ast.Return(value=value):
            reading.unit.returned.append(infer(reading, value) if value is not None else UNKNOWN)
            return False
        case ast.Raise() | ast.Continue() | ast.Break():
            return False
        case ast.Expr(value=value):
            infer(reading, value)
        case ast.Assert(test=test):
            infer(reading, test)
        case _:
            return _compound(reading, node, loop)
    return True


def _compound(reading: Reading, node: ast.stmt, loop: ast.AST | None) -> bool:
    match node:
        case ast.If(test=test, body=body, orelse=orelse):
            infer(reading, test)
            return _branches(reading, [body, orelse], loop)
        case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
            return _with(reading, items, body, loop)
        case ast.For(target=target, iter=source) | ast.AsyncFor(target=target, iter=source):
            infer(reading, source)
            _loop(reading, node, target)
        case ast.While(test=test):
            infer(reading, test)
            _loop(reading, node, None)
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
            ends = _branches(reading, [[*body, *orelse], *(handler.body for handler in handlers)], loop)
            return read_body(reading, final, loop) and ends
        case ast.Match(subject=subject, cases=cases):
            infer(reading, subject)
            return _branches(reading, [*(case.body for case in cases), []], loop)
    return True


def _branches(reading: Reading, bodies: Sequence[Sequence[ast.stmt]], loop: ast.AST | None) -> bool:
    before = reading.env
    ends: list[Env] = []
    for body in bodies:
        reading.env = dict(before)
        if read_body(reading, body, loop):
            ends.append(reading.env)
    reading.env = _merged(ends) if ends else before
    return bool(ends)


def _merged(ends: Sequence[Env]) -> Env:
    if len(ends) == 1:
        return ends[0]
    names = set().union(*ends)
    return {name: joined([end.get(name, UNKNOWN) for end in ends]) for name in names}


def _with(reading: Reading, items: Sequence[ast.withitem], body: Sequence[ast.stmt], loop: ast.AST | None) -> bool:
    outer = reading.region
    for item in items:
        infer(reading, item.context_expr)
        region = region_of(reading.project, item.context_expr, reading.scope)
        if region is not None:
            reading.region = region
    ends = read_body(reading, body, loop)
    reading.region = outer
    return ends


def _loop(reading: Reading, node: ast.For | ast.AsyncFor | ast.While, target: ast.expr | None) -> None:
    before = dict(reading.env)
    for inner in ast.walk(node):
        summed = inner.target if isinstance(inner, ast.AugAssign) else None
        if isinstance(summed, ast.Name) and reading.unit.started.get(summed, UNKNOWN) == UNKNOWN:
            reading.unit.started[summed] = before.get(summed.id, UNKNOWN)  # an inner loop says it of its own begin
    ends = [before]
    for _ in range(_TURNS):
        if target is not None:
            _forget(reading, target)
        read_body(reading, node.body, node)
        ends.append(dict(reading.env))
        reading.env = _merged(ends)
    read_body(reading, node.orelse)


def _assign(reading: Reading, target: ast.expr, value: ast.expr, known: Known) -> None:
    match target:
        case ast.Name(id=name):
            reading.env[name] = known
        case ast.Attribute(value=ast.Name()):
            infer(reading, target.value)
            reading.env[ast.unparse(target)] = known
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(elements):
                for element, part in zip(elements, value.elts, strict=True):
                    one = NUMBER if isinstance(part, ast.Constant) else reading.unit.at(part)
                    _assign(reading, element, part, one)
                return
            split = isinstance(value, ast.Call) and last_name(value.func) in _SPLITS
            for element in elements:
                _assign(reading, element, value, known if split else UNKNOWN)
        case ast.Starred(value=inner):
            _assign(reading, inner, value, UNKNOWN)
        case ast.Subscript(value=owner, slice=index):
            infer(reading, owner)
            infer(reading, index)
            reading.unit.stores[target] = value


def _forget(reading: Reading, target: ast.expr) -> None:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            reading.env[node.id] = UNKNOWN


def _augment(reading: Reading, node: ast.AugAssign) -> None:
    """Read `target op= value`: a tensor keeps its dtype, a number becomes what it meets."""
    value = infer(reading, node.value)
    if isinstance(node.target, ast.Name | ast.Attribute):
        name = ast.unparse(node.target)
        before = reading.env.get(name, UNKNOWN)
        reading.unit.known[node.target] = before
        reading.env[name] = value.plain() if before.dtype == "number" else before.plain()
    elif isinstance(node.target, ast.Subscript):
        infer(reading, node.target.value)
