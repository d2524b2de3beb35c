"""The order of unscale, clip, step and update, turned or broken."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.mutation.changes import after, before, left_out, mutation, replaced
from stages.mutation.scalers import calls, clips, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def plain_step(code: Code) -> Iterator[Mutation]:
    for call in calls(code, "step"):
        yield from mutation(code, call, replaced(code, call, f"{code.text(call.args[0])}.step()"))


def second_step(code: Code) -> Iterator[Mutation]:
    for statement, call in statements(code, "step"):
        yield from mutation(code, statement, after(code, statement, f"{code.text(call.args[0])}.step()"))


def drop_unscale(code: Code) -> Iterator[Mutation]:
    for statement, call in statements(code, "unscale_"):
        if _clip_after(code, call) is not None:
            yield from mutation(code, statement, left_out(code, statement))


def unscale_after_clip(code: Code) -> Iterator[Mutation]:
    for statement, call in statements(code, "unscale_"):
        clip = _clip_after(code, call)
        block, place = code.block(statement)
        holder = next((item for item in block[place + 1 :] if clip is not None and clip in ast.walk(item)), None)
        if holder is not None:
            edits = left_out(code, statement), after(code, holder, code.text(statement))
            yield from mutation(code, statement, *edits)


def drop_update(code: Code) -> Iterator[Mutation]:
    for statement, _ in statements(code, "update"):
        yield from mutation(code, statement, left_out(code, statement))


def update_before_step(code: Code) -> Iterator[Mutation]:
    steps = [statement for statement, _ in statements(code, "step")]
    for update, _ in statements(code, "update"):
        block, place = code.block(update)
        earlier = [item for item in block[:place] if item in steps]
        if earlier:
            step = earlier[-1]
            swapped = replaced(code, step, code.text(update)), replaced(code, update, code.text(step))
            yield from mutation(code, step, *swapped)


def update_between_steps(code: Code) -> Iterator[Mutation]:
    steps = [statement for statement, _ in statements(code, "step")]
    for update, call in statements(code, "update"):
        block, place = code.block(update)
        scaler = code.text(call).removesuffix("update()")
        earlier = [item for item in block[:place] if item in steps and code.text(item).startswith(scaler)]
        if len(earlier) > 1 and len({code.text(item) for item in earlier}) > 1:
            yield from mutation(code, earlier[0], after(code, earlier[0], code.text(update)))


def unscale_twice(code: Code) -> Iterator[Mutation]:
    for statement, _ in statements(code, "unscale_"):
        yield from mutation(code, statement, after(code, statement, code.text(statement)))


def closure_to_scaler(code: Code) -> Iterator[Mutation]:
    for call in calls(code, "step"):
        losses = [
            code.text(scale.args[0]) for scale in calls(code, "scale") if code.function(scale) is code.function(call)
        ]
        if len(call.args) == 1 and not call.keywords and losses:
            yield from mutation(
                code,
                call,
                replaced(code, call, f"{code.text(call.func)}({code.text(call.args[0])}, lambda: {losses[0]})"),
            )


def clear_after_unscale(code: Code) -> Iterator[Mutation]:
    for statement, call in statements(code, "step"):
        optimizer = code.text(call.args[0])
        unscaled = [
            item
            for item in code.within(code.function(call), "unscale_")
            if code.is_before(item, call) and item.args and code.text(item.args[0]) == optimizer
        ]
        if unscaled:
            yield from mutation(code, statement, before(code, statement, f"{optimizer}.zero_grad()"))


def _clip_after(code: Code, unscale: ast.Call) -> ast.Call | None:
    found = [clip for clip in clips(code, code.function(unscale)) if code.is_before(unscale, clip)]
    return found[0] if found else None


OPERATORS = {
    "plain-step": plain_step,
    "second-step": second_step,
    "drop-unscale": drop_unscale,
    "unscale-after-clip": unscale_after_clip,
    "drop-update": drop_update,
    "update-before-step": update_before_step,
    "update-between-steps": update_between_steps,
    "unscale-twice": unscale_twice,
    "closure-to-scaler": closure_to_scaler,
    "clear-after-unscale": clear_after_unscale,
}
