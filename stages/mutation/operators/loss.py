"""The loss that goes backward: not scaled, scaled in part, twice, or by another scaler."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.mutation.changes import after, instead, mutation, replaced
from stages.mutation.code import dotted, last_name, receiver
from stages.mutation.scalers import backwards, calls, is_scaler, made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def unscaled_backward(code: Code) -> Iterator[Mutation]:
    for scale in calls(code, "scale"):
        yield from mutation(code, scale, replaced(code, scale, grouped(code, scale.args[0])))


def discard_scaled_loss(code: Code) -> Iterator[Mutation]:
    for statement, backward, scale in backwards(code):
        given = code.source.text[code.source.span(backward.func)[1] : code.source.span(backward)[1]]
        lines = code.text(scale), f"{grouped(code, scale.args[0])}.backward{given}"
        yield from mutation(code, statement, instead(code, statement, *lines))


def scale_one_term(code: Code) -> Iterator[Mutation]:
    for scale in calls(code, "scale"):
        loss = scale.args[0]
        if isinstance(loss, ast.BinOp) and isinstance(loss.op, ast.Add):
            first, second = code.text(loss.left), code.text(loss.right)
            yield from mutation(code, scale, replaced(code, scale, f"({code.text(scale.func)}({first}) + {second})"))


def scale_twice(code: Code) -> Iterator[Mutation]:
    for scale in calls(code, "scale"):
        yield from mutation(code, scale, replaced(code, scale, f"{code.text(scale.func)}({code.text(scale)})"))


def other_scaler(code: Code) -> Iterator[Mutation]:
    for statement, call in made(code):
        name = dotted(statement.targets[0])
        for scale in calls(code, "scale"):
            used = receiver(scale)
            if used is not None and dotted(used) == name and code.function(scale) is code.function(statement):
                second = after(code, statement, f"{name}_of_others = {code.text(call)}")
                yield from mutation(code, scale, second, replaced(code, used, f"{name}_of_others"))


def penalty_of_scaled_gradients(code: Code) -> Iterator[Mutation]:
    for node in code.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_scale(code, node.right):
            yield from mutation(code, node, replaced(code, node, code.text(node.left)))


def grouped(code: Code, node: ast.expr) -> str:
    """Return the text of an expression, in parentheses where a method could not be called of it otherwise."""
    text = code.text(node)
    return text if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript) else f"({text})"


def _is_scale(code: Code, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "get_scale" and is_scaler(code, receiver(node))


OPERATORS = {
    "unscaled-backward": unscaled_backward,
    "discard-scaled-loss": discard_scaled_loss,
    "scale-one-term": scale_one_term,
    "scale-twice": scale_twice,
    "other-scaler": other_scaler,
    "penalty-of-scaled-gradients": penalty_of_scaled_gradients,
}
