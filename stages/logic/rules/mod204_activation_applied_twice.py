"""MOD204: a loss that applies softmax or sigmoid itself is given what has been through it already."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import resolve_bindings
from stages._source.wanted import Wanted, lines_of
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD204",
    name="activation-applied-twice",
    severity=Severity.MEDIUM,
    summary="A loss that applies softmax or sigmoid itself is given what has been through it already.",
    why=(
        "`cross_entropy` takes logits. Of probabilities between 0 and 1 its softmax makes nearly equal ones: the loss"
        " cannot come near 0, gradients are small, and training is slow and ends early. `nll_loss` takes logarithms;"
        " with plain probabilities it has no lower bound that means anything."
    ),
    examples=(
        Bad("""
            import torch
            import torch.nn.functional as F

            def loss(logits, target):
                probabilities = F.softmax(logits, dim=-1)
                return F.cross_entropy(probabilities, target)  # expect: MOD204
        """),
        Bad("""
            import torch
            from torch import nn

            class Task:
                def __init__(self):
                    self.criterion = nn.BCEWithLogitsLoss()

                def loss(self, model, x, y):
                    return self.criterion(torch.sigmoid(model(x)), y)  # expect: MOD204
        """),
        Good("""
            import torch
            import torch.nn.functional as F

            def loss(logits, target, teacher):
                soft = F.softmax(teacher, dim=-1)
                probabilities = F.softmax(logits, dim=-1)
                score = probabilities.max()
                return F.cross_entropy(logits, soft) + F.nll_loss(F.log_softmax(logits, dim=-1), target), score
        """),
    ),
)
_WORDS = (b"softmax(", b"sigmoid(")
_BOUND = late(rb"\s*(\w+) = [\w.]*\Z")
_LOSS = late(rb".*(?:entropy|nll_loss|logits|riterion|loss\w*|Loss\(\))\(\s*[\w.]*\Z", re.DOTALL)
_BEFORE = 80  # bytes in which the name of a loss stands before its first argument


def _may_apply(data: bytes) -> bool:
    """Say whether something called like a loss is given an activation, or a name that is bound to one."""
    names = set()
    for word in _WORDS:
        for line in lines_of(data, word):
            start = line[: -len(word)]
            if _LOSS.match(start):
                return True
            bound = _BOUND.match(start)
            names |= {bound[1]} if bound is not None else set()
    return any(_LOSS.match(before) for name in names for before in _before(data, b"(" + name + b","))


def _before(data: bytes, word: bytes) -> Iterator[bytes]:
    """Yield what stands before each place of an argument, its parenthesis included."""
    at = data.find(word)
    while at >= 0:
        yield data[max(0, at - _BEFORE) : at + 1]
        at = data.find(word, at + 1)


WANTED = Wanted(some=(b"softmax(", b"sigmoid("), test=_may_apply)
_F = "torch.nn.functional."
_LOSSES = {
    "torch.nn.CrossEntropyLoss": "softmax",
    f"{_F}cross_entropy": "softmax",
    "torch.nn.BCEWithLogitsLoss": "sigmoid",
    f"{_F}binary_cross_entropy_with_logits": "sigmoid",
    "torch.nn.NLLLoss": "softmax",
    f"{_F}nll_loss": "softmax",
}
_ACTIVATIONS = {
    "softmax": frozenset(["torch.softmax", f"{_F}softmax"]),
    "sigmoid": frozenset(["torch.sigmoid", f"{_F}sigmoid"]),
}


def look(view: View) -> Iterator[Problem]:
    """Report such losses, whose first argument is an activation or a name that is bound to one only."""
    for seen in view.calls():
        call = seen.node
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name | ast.Attribute):
            continue
        given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "input"), None)
        activation = _activation_of(view, call.func, seen.scope) if given is not None else None
        if given is not None and activation is not None and _is_activated(view, given, seen.scope, activation):
            yield Problem(
                place=view.place(call),
                message=f"`{ast.unparse(given)}` has been through {activation}, and `{ast.unparse(call.func)}` "
                + ("takes logits" if "nll" not in ast.unparse(call.func).lower() else "takes logarithms"),
                remedy="Give the loss what the model computed before the activation.",
            )


def _activation_of(view: View, func: ast.expr, scope: Scope) -> str | None:
    """Return which activation a loss applies: of the function itself, or of the only object that a name stands for."""
    names = view.origins(func, scope)
    for name in names:
        if name in _LOSSES and "functional" in name:
            return _LOSSES[name]
    bindings = resolve_bindings(view.project, func, scope)
    if len(bindings) != 1 or not isinstance(bindings[0].value, ast.Call):
        return None
    made = view.origins(bindings[0].value.func, bindings[0].scope)
    return next((_LOSSES[name] for name in made if name in _LOSSES), None)


def _is_activated(view: View, given: ast.expr, scope: Scope, activation: str) -> bool:
    match given:
        case ast.Call(func=func):
            names = view.origins(func, scope)
            method = isinstance(func, ast.Attribute) and func.attr == activation and not names
            return method or bool(_ACTIVATIONS[activation] & names)
        case ast.Name(id=name) if scope.owner_of(name) is scope and len(scope.bindings[name]) == 1:
            bound = scope.bindings[name][0]
            return (
                bound.how == "value"
                and isinstance(bound.value, ast.Call)
                and _is_call(view, bound.value, scope, activation)
            )
    return False


def _is_call(view: View, value: ast.expr, scope: Scope, activation: str) -> bool:
    return isinstance(value, ast.Call) and _is_activated(view, value, scope, activation)
