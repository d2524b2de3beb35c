"""Decides where autocast, the gradient scaler, scale, unscale, clip, step, update and the scaled backward stand."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from stages._source.program import vocabulary
from stages._source.program.kinds import Kinds, last_name
from stages._source.program.origins import origins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope
    from verifier.api import Json

What = Literal["autocast", "scaler", "scale", "unscale", "clip", "step", "update", "backward"]
_ORDER: tuple[What, ...] = ("scaler", "autocast", "scale", "backward", "unscale", "clip", "step", "update")
_CLIP_METHODS = ("clip_grad_norm_", "clip_grad_value_", "clip_gradients")


def amp_points(project: Project, kinds: Kinds, module: Module) -> list[Json]:
    """Return every point of one file in source order: path, line, function, what, code."""
    found: dict[tuple[int, int, What], str] = {}
    for seen in module.scopes.calls:
        if isinstance(seen.node, ast.Call):
            for line, what in _of_call(project, kinds, module, seen.node, seen.scope):
                found.setdefault((line, _ORDER.index(what), what), seen.label)
    for seen in module.scopes.contexts:
        if isinstance(seen.node, ast.withitem) and _enters_autocast(kinds, seen.node.context_expr, seen.scope):
            line = seen.node.context_expr.lineno
            if not _constructed_within(project, seen.node.context_expr, module):
                found.setdefault((line, _ORDER.index("autocast"), "autocast"), seen.label)
    return [
        {"path": module.path, "line": line, "function": function, "what": what, "code": module.code(line)}
        for (line, _, what), function in sorted(found.items())
    ]


def _of_call(
    project: Project, kinds: Kinds, module: Module, call: ast.Call, scope: Scope
) -> Iterator[tuple[int, What]]:
    line = call.func.end_lineno or call.lineno  # of the method's name in a chain over several lines
    called = origins(project, call.func, scope)
    if vocabulary.names_autocast(called):
        yield line, "autocast"
    if (switch := _turns_autocast_on(called, call)) is not None:
        yield switch, "autocast"
    if vocabulary.names_scaler(called):
        yield line, "scaler"
    if "apex.amp.scale_loss" in called:
        yield line, "scale"
    if vocabulary.names_clipping(called):
        yield line, "clip"
    if {"torch.autograd.backward", "torch.autograd.grad"} & called and _first_is_scaled(kinds, call, scope):
        yield line, "backward"
    if isinstance(call.func, ast.Attribute):
        for what in _of_method(kinds, module, call, call.func, scope):
            yield line, what


def _of_method(kinds: Kinds, module: Module, call: ast.Call, func: ast.Attribute, scope: Scope) -> Iterator[What]:
    receiver, method, count = func.value, func.attr, len(call.args) + len(call.keywords)
    match method:
        case "scale" if count and kinds.is_scaler(receiver, scope, module):
            yield "scale"
        case "unscale_" if count and "other" not in kinds.of(receiver, scope):
            yield "unscale"
        case "unscale_gradients" if kinds.is_framework(receiver, scope, module):
            yield "unscale"
        case "step" if count and kinds.is_scaler(receiver, scope, module):
            yield "step"
        case "step" if count <= 1 and kinds.is_optimizer(receiver, scope, module):
            yield "step"
        case "update" if count <= 1 and kinds.is_scaler(receiver, scope, module):
            yield "update"
        case "backward" if "scaled" in kinds.of(receiver, scope) or _first_is_scaled(kinds, call, scope):
            yield "backward"
        case "backward" if count and kinds.is_framework(receiver, scope, module):
            yield "backward"
        case "manual_backward" if count and last_name(receiver) == "self":
            yield "backward"
        case "autocast" if "autocast" in kinds.of(call, scope):
            yield "autocast"
        case _ if method in _CLIP_METHODS and count:
            yield "clip"


def _turns_autocast_on(called: frozenset[str], call: ast.Call) -> int | None:
    """Return the line of the argument by which a framework autocasts (Lightning, accelerate); a variable may."""
    names = vocabulary.precision_arguments(called)
    for keyword in call.keywords:
        if keyword.arg in names:
            value = keyword.value
            if not isinstance(value, ast.Constant) or vocabulary.means_mixed(value.value):
                return keyword.lineno
    return None


def _first_is_scaled(kinds: Kinds, call: ast.Call, scope: Scope) -> bool:
    given = [*call.args[:1], *(item.value for item in call.keywords if item.arg in ("tensors", "outputs"))]
    return any("scaled" in kinds.of(value, scope) for value in given)


def _enters_autocast(kinds: Kinds, expr: ast.expr, scope: Scope) -> bool:
    """Recognise a context kept in a variable, made by a function of the task, or passed in under a telling name."""
    if "autocast" in kinds.of(expr, scope):
        return True
    named = expr.func if isinstance(expr, ast.Call) else expr
    if not isinstance(named, ast.Name | ast.Attribute) or not vocabulary.called_like_autocast(last_name(named)):
        return False
    if isinstance(named, ast.Name) and scope.owner_of(named.id) is None:
        return False  # bound nowhere: there is nothing to enter
    return not kinds.of(expr, scope) and not kinds.of(named, scope)


def _constructed_within(project: Project, expr: ast.expr, module: Module) -> bool:
    """Say whether the construction stands in the expression itself: then it is listed already, at its own line."""
    inside = set(ast.walk(expr))
    return any(
        isinstance(seen.node, ast.Call)
        and seen.node in inside
        and vocabulary.names_autocast(origins(project, seen.node.func, seen.scope))
        for seen in module.scopes.calls
    )
