"""Gradient accumulation whose boundary is lost, and a step that is left half done."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.mutation.changes import after, before, left_out, mutation
from stages.mutation.code import Loop, last_name
from stages.mutation.scalers import calls, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def unscale_each_micro_batch(code: Code) -> Iterator[Mutation]:
    for statement, _ in statements(code, "unscale_"):
        boundary = _boundary(code, statement)
        if boundary is not None:
            moved = before(code, boundary, code.text(statement))
            yield from mutation(code, statement, moved, left_out(code, statement))
            continue
        turns = _turns_before(code, statement)
        if turns is not None:
            moved = after(code, turns.body[-1], code.text(statement))
            yield from mutation(code, statement, moved, left_out(code, statement))


def update_each_micro_batch(code: Code) -> Iterator[Mutation]:
    unscaled = [statement for statement, _ in statements(code, "unscale_")]
    for update, _ in statements(code, "update"):
        boundary = _boundary(code, update)
        inside = [item for item in unscaled if boundary is not None and _boundary(code, item) is boundary]
        if boundary is not None and inside:
            edits = [before(code, boundary, code.text(inside[0])), left_out(code, inside[0])]
            edits += [left_out(code, update), after(code, boundary, code.text(update))]
            yield from mutation(code, update, *edits)


def leave_after_unscale(code: Code) -> Iterator[Mutation]:
    for statement, call in statements(code, "unscale_"):
        owner = code.function(call)
        losses = [code.text(scale.args[0]) for scale in calls(code, "scale") if code.function(scale) is owner]
        updates = [item for item in calls(code, "update") if code.function(item) is owner]
        leave = "continue" if code.loop(call) is not None else "return"
        if not losses or not updates or (leave == "return" and owner is code.tree):
            continue
        lines = f"if {is_nan(code, losses[0])}:", f"    {leave}"
        yield from mutation(code, statement, after(code, statement, *lines))


def skip_on_one_rank(code: Code) -> Iterator[Mutation]:
    if not code.mentions("DistributedDataParallel", "torch.distributed", "dist.init_process_group"):
        return
    for scale in calls(code, "scale"):
        statement = code.statement(scale)
        if code.loop(scale) is not None and isinstance(statement, ast.Expr):
            lines = f"if {is_nan(code, scale.args[0])}:", "    continue"
            yield from mutation(code, statement, before(code, statement, *lines))


def is_nan(code: Code, loss: str | ast.expr) -> str:
    text = loss if isinstance(loss, str) else code.text(loss)
    return f"not torch.isfinite({text})" if code.imports_torch else f"({text}) != ({text})"


def _boundary(code: Code, statement: ast.stmt) -> ast.If | None:
    """Return the `if` that holds the statement and the step, and before which, in its block, backward runs."""
    for outer in code.around(statement):
        if isinstance(outer, Loop):
            return None
        if isinstance(outer, ast.If) and _holds(outer, "step"):
            block, place = code.block(outer)
            inside = any(statement in ast.walk(item) for item in outer.body)
            return outer if inside and any(_holds(item, "backward") for item in block[:place]) else None
    return None


def _turns_before(code: Code, statement: ast.stmt) -> ast.For | None:
    """Return the loop over micro-batches that ends before the statement, in its block or one around it."""
    node: ast.AST = statement
    while isinstance(node, ast.stmt) and not isinstance(node, Loop):
        block, place = code.block(node)
        for item in block[:place]:
            if isinstance(item, ast.For) and _holds(item, "backward") and not _holds(item, "step"):
                return item
        node = code.parents[node]
    return None


def _holds(node: ast.AST, method: str) -> bool:
    return any(isinstance(item, ast.Call) and last_name(item.func) == method for item in ast.walk(node))


OPERATORS = {
    "unscale-each-micro-batch": unscale_each_micro_batch,
    "update-each-micro-batch": update_each_micro_batch,
    "leave-after-unscale": leave_after_unscale,
    "skip-on-one-rank": skip_on_one_rank,
}
