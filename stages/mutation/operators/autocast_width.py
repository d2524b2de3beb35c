"""An autocast context that is too wide, or too narrow for the loss."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.vocabulary import called_like_optimizer
from stages.mutation.autocasts import contexts
from stages.mutation.changes import after, before, indented, left_out, mutation
from stages.mutation.code import Loop, last_name, names_in, receiver
from stages.mutation.scalers import is_scaler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation

_LOSSES = ("loss", "criterion", "entropy", "objective")


def autocast_over_loop(code: Code) -> Iterator[Mutation]:
    for entered, item in contexts(code):
        for loop in code.around(entered):
            if isinstance(loop, Loop) and _steps(code, loop):
                stored = {
                    node.id for node in ast.walk(loop) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
                }
                lines = indented(code, loop, loop)
                if not names_in(item.context_expr) & stored and lines is not None:
                    head = before(code, loop, f"with {code.text(item.context_expr)}:")
                    yield from mutation(code, entered, head, *lines)
                break


def autocast_over_step(code: Code) -> Iterator[Mutation]:
    for entered, _ in contexts(code):
        yield from _widened(code, entered, _first_that(code, entered, step=True))


def autocast_over_backward(code: Code) -> Iterator[Mutation]:
    for entered, _ in contexts(code):
        backward, step = _first_that(code, entered, step=False), _first_that(code, entered, step=True)
        if backward is not step:
            yield from _widened(code, entered, backward)


def loss_outside(code: Code) -> Iterator[Mutation]:
    for entered, _ in contexts(code):
        body = entered.body
        place = next((number for number, item in enumerate(body) if number and _is_loss(code, item)), None)
        if place is not None and all(isinstance(item, ast.Assign | ast.AugAssign) for item in body[place:]):
            moved = after(code, entered, *(code.text(item) for item in body[place:]))
            yield from mutation(code, body[place], *(left_out(code, item) for item in body[place:]), moved)


def _widened(code: Code, entered: ast.With, last: ast.stmt | None) -> Iterator[Mutation]:
    if last is None or entered.body[0].lineno == entered.lineno:
        return
    block, place = code.block(entered)
    lines = indented(code, block[place + 1], last)
    if lines is not None:
        yield from mutation(code, entered, *lines)


def _first_that(code: Code, entered: ast.With, *, step: bool) -> ast.stmt | None:
    """Return the first statement after the context, in its block, that steps an optimizer or calls backward."""
    block, place = code.block(entered)
    for item in block[place + 1 :]:
        backward = any(isinstance(node, ast.Call) and last_name(node.func) == "backward" for node in ast.walk(item))
        if _steps(code, item) if step else backward:
            return item
    return None


def _steps(code: Code, node: ast.AST) -> bool:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and last_name(call.func) == "step":
            of = receiver(call)
            if of is not None and (is_scaler(code, of) or called_like_optimizer(last_name(of))):
                return True
    return False


def _is_loss(code: Code, node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call | ast.BinOp):
        return False
    called = [last_name(call.func).lower() for call in ast.walk(node.value) if isinstance(call, ast.Call)]
    return any(word in name for name in called for word in _LOSSES)


OPERATORS = {
    "autocast-over-loop": autocast_over_loop,
    "autocast-over-step": autocast_over_step,
    "autocast-over-backward": autocast_over_backward,
    "loss-outside": loss_outside,
}
