"""Finds the gradient scaler of a file: where it is made, and the calls of its methods."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.vocabulary import called_like_optimizer, called_like_scaler
from stages.mutation.code import dotted, last_name, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code


def made(code: Code) -> Iterator[tuple[ast.Assign, ast.Call]]:
    """Yield the assignments of a new scaler, and the call that makes it: maybe one side of a conditional expression."""
    for node in code.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and dotted(node.targets[0]):
            for call in _built(node.value):
                if last_name(call.func).endswith("GradScaler"):
                    yield node, call


def _built(value: ast.expr) -> Iterator[ast.Call]:
    if isinstance(value, ast.Call):
        yield value
    elif isinstance(value, ast.IfExp):
        yield from (*_built(value.body), *_built(value.orelse))


def is_scaler(code: Code, node: ast.expr | None) -> bool:
    if node is None or not dotted(node):
        return False
    names = {dotted(assign.targets[0]) for assign, _ in made(code)}
    return dotted(node) in names or called_like_scaler(last_name(node))


def calls(code: Code, method: str) -> list[ast.Call]:
    """Return the calls of a method of a scaler: `scale`, `unscale_`, `step` (with an optimizer) or `update`."""
    given = 0 if method == "update" else 1
    return [
        call
        for call in code.calls(method)
        if is_scaler(code, receiver(call)) and len(call.args) >= given and not _starred(call)
    ]


def statements(code: Code, method: str) -> list[tuple[ast.Expr, ast.Call]]:
    """Return the same calls where each is a whole statement, and that statement."""
    found = []
    for call in calls(code, method):
        outer = code.parents[call]
        if isinstance(outer, ast.Expr):
            found.append((outer, call))
    return found


def backwards(code: Code) -> Iterator[tuple[ast.Expr, ast.Call, ast.Call]]:
    """Yield statements `scaler.scale(loss).backward()` with the call of backward and that of scale."""
    for scale in calls(code, "scale"):
        dot = code.parents[scale]
        call = code.parents.get(dot)
        if isinstance(dot, ast.Attribute) and dot.attr == "backward" and isinstance(call, ast.Call):
            statement = code.parents[call]
            if isinstance(statement, ast.Expr):
                yield statement, call, scale


def optimizer_of(code: Code, near: ast.AST) -> str:
    """Return the optimizer that a scaler steps or unscales in the function around a node; "" if none does."""
    owner = code.function(near)
    for method in ("step", "unscale_"):
        for call in calls(code, method):
            if code.function(call) is owner and not isinstance(call.args[0], ast.Starred):
                return code.text(call.args[0])
    return ""


def clips(code: Code, owner: ast.AST) -> list[ast.Call]:
    """Return the calls of a function that clip gradients, and of functions of the project that are called so."""
    return [
        call
        for call in code.every_call
        if code.function(call) is owner and "clip" in last_name(call.func) and "grad" in last_name(call.func)
    ]


def optimizers_made(code: Code) -> Iterator[tuple[ast.Assign, ast.Call]]:
    """Yield the assignments of a new optimizer, and the call that makes it."""
    for node in code.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call):
            target = node.targets[0]
            if dotted(target) and called_like_optimizer(last_name(target)):
                yield node, node.value


def model_of(code: Code, call: ast.Call) -> str:
    """Return the model whose parameters an optimizer is made for, as it is written; "" if that is not in sight."""
    for node in ast.walk(call):
        if isinstance(node, ast.Call) and last_name(node.func) in ("parameters", "named_parameters"):
            model = receiver(node)
            if model is not None and dotted(model):
                return dotted(model)
    places = [receiver(call), *call.args]
    named = [dotted(node) for node in places if node is not None and _looks_like_model(node)]
    if named:
        return named[0]
    owner = code.function(call)
    stored = {node.id for node in ast.walk(owner) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return "model" if "model" in stored else ""


def _looks_like_model(node: ast.AST) -> bool:
    return bool(dotted(node)) and any(word in last_name(node).lower() for word in ("model", "net"))


def _starred(call: ast.Call) -> bool:
    return any(isinstance(item, ast.Starred) for item in call.args)
