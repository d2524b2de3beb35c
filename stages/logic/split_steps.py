"""Finds unscale_ calls beside a scaled backward whose step only happens at times, or in another method."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.origins import lineage
from stages._source.program.scopes import Function, own_nodes, parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View


@dataclass(frozen=True, slots=True)
class SplitStep:
    """A function that runs a scaled backward and unscales at once, so that a second backward before the step raises.

    Args:
        call: the unscale_ call.
        waits: the test of a parameter, or the other method, on which the step depends.
        accumulates: the code itself speaks of accumulation, or has such a parameter.
    """

    call: ast.Call
    waits: ast.AST
    accumulates: bool


def split_steps(view: View) -> Iterator[SplitStep]:
    """Yield what a caller that accumulates gradients makes unscale twice."""
    if not view.mentions("unscale_"):
        return
    for node, scope in view.module.scopes.scopes.items():
        if not isinstance(node, Function):
            continue
        calls = [item for item in own_nodes(node.body) if isinstance(item, ast.Call)]
        unscaled = [call for call in calls if _of_scaler(call, "unscale_")]
        if len(unscaled) != 1 or not any(map(_scales_backward, calls)) or _in_a_loop(view, unscaled[0], node):
            continue
        steps = [call for call in calls if _of_scaler(call, "step")]
        updates = [call for call in calls if _of_scaler(call, "update")]
        if steps:
            test = _flag(view, steps[0], unscaled[0], scope)
            if test is not None and all(_under(view, call, test) for call in (*steps, *updates)):
                yield SplitStep(unscaled[0], test.test, accumulates=True)
        elif not updates and (other := _stepping_method(view, scope)) is not None:
            yield SplitStep(unscaled[0], other.node, accumulates=_accumulates(view, scope))


def _flag(view: View, step: ast.Call, unscaled: ast.Call, scope: Scope) -> ast.If | None:
    """Return the `if` of a parameter that is around the step and not around unscale_."""
    assert isinstance(scope.node, Function)
    names = {argument.arg for argument, _ in parameters(scope.node)}
    inner: ast.AST = step
    around = view.parent(step)
    while around is not None and around is not scope.node:
        if isinstance(around, ast.If) and inner in around.body and not _under(view, unscaled, around):
            asked = around.test
            if isinstance(asked, ast.Name) and asked.id in names and not vocabulary.called_like_scaler(asked.id):
                return around
        inner, around = around, view.parent(around)
    return None


def _under(view: View, node: ast.AST, outer: ast.AST) -> bool:
    around: ast.AST | None = node
    while around is not None and around is not outer:
        around = view.parent(around)
    return around is not None


def _in_a_loop(view: View, node: ast.AST, function: ast.AST) -> bool:
    around = view.parent(node)
    while around is not None and around is not function:
        if isinstance(around, ast.For | ast.While):
            return True
        around = view.parent(around)
    return False


def _stepping_method(view: View, scope: Scope) -> Scope | None:
    """Return another method of the class, or of one that it derives from, which steps and updates the scaler."""
    cls = scope.parent
    if cls is None or not isinstance(cls.node, ast.ClassDef):
        return None
    for owner in lineage(view.project, cls):
        for inner, method in owner.inner.items():
            if inner is scope.node or not isinstance(inner, Function) or method.parent is not owner:
                continue
            calls = [item for item in own_nodes(inner.body) if isinstance(item, ast.Call)]
            if all(any(_of_scaler(call, name) for call in calls) for name in ("step", "update")):
                return method
    return None


def _accumulates(view: View, scope: Scope) -> bool:
    cls = scope.parent
    assert cls is not None
    words = (
        item.attr if isinstance(item, ast.Attribute) else getattr(item, "arg", getattr(item, "id", ""))
        for owner in lineage(view.project, cls)
        for item in ast.walk(owner.node)
    )
    return any(isinstance(word, str) and "accum" in word.lower() for word in words)


def _scales_backward(call: ast.Call) -> bool:
    match call:
        case ast.Call(func=ast.Attribute(attr="backward", value=ast.Call() as inner)):
            return _of_scaler(inner, "scale")
    return False


def _of_scaler(call: ast.Call, method: str) -> bool:
    match call:
        case ast.Call(func=ast.Attribute(attr=attr, value=owner)):
            return attr == method and vocabulary.called_like_scaler(last_name(owner))
    return False
