"""What stands around a step: checkpoints without the scaler, a schedule that does not wait, a clip that raises."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages.mutation.autocasts import origin
from stages.mutation.calls import with_arguments
from stages.mutation.changes import left_out, mutation, replaced
from stages.mutation.code import dotted, keyword, last_name, receiver
from stages.mutation.scalers import calls, is_scaler
from verifier.api import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation

_SCHEDULER = re.compile(r"sched|(?:^|_)lr", re.IGNORECASE)
_SKIPPED = re.compile(r"scale|skip|overflow|found_inf|stepped")


def drop_scaler_from_save(code: Code) -> Iterator[Mutation]:
    for call in code.calls("state_dict"):
        if not is_scaler(code, receiver(call)):
            continue
        for outer in (call, *code.around(call)):
            if isinstance(outer, ast.Assign) and isinstance(outer.targets[0], ast.Subscript):
                yield from mutation(code, outer, left_out(code, outer))
            if isinstance(outer, ast.Dict):
                yield from _without_item(code, outer, call)
            if isinstance(outer, ast.stmt | ast.Dict):
                break


def drop_scaler_from_load(code: Code) -> Iterator[Mutation]:
    for call in code.calls("load_state_dict"):
        statement = code.parents[call]
        if is_scaler(code, receiver(call)) and isinstance(statement, ast.Expr):
            yield from mutation(code, statement, left_out(code, statement))


def schedule_regardless(code: Code) -> Iterator[Mutation]:
    for node in code.nodes:
        if isinstance(node, ast.If) and len(node.body) == 1 and not node.orelse:
            inner = node.body[0]
            if _steps_schedule(inner) and _SKIPPED.search(code.text(node.test)):
                yield from mutation(code, node, replaced(code, node, code.text(inner)))


def raise_on_nonfinite(code: Code) -> Iterator[Mutation]:
    if not calls(code, "step"):
        return
    for call in code.calls("clip_grad_norm_"):
        if origin(code, call.func).startswith("torch.") and keyword(call, "error_if_nonfinite") is None:
            yield from mutation(code, call, with_arguments(code, call, error_if_nonfinite="True"))


def _steps_schedule(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or last_name(call.func) != "step" or call.args:
        return False
    scheduler = receiver(call)
    return scheduler is not None and bool(_SCHEDULER.search(dotted(scheduler)))


def _without_item(code: Code, node: ast.Dict, call: ast.Call) -> Iterator[Mutation]:
    place = next(number for number, value in enumerate(node.values) if call in ast.walk(value))
    starts = [
        code.source.span(key if key is not None else value)[0]
        for key, value in zip(node.keys, node.values, strict=True)
    ]
    ends = [code.source.span(value)[1] for value in node.values]
    if node.keys[place] is None:
        return
    if place + 1 < len(starts) and node.keys[place + 1] is not None:
        edit = Edit(starts[place], starts[place + 1], "")
    elif place:
        edit = Edit(ends[place - 1], ends[place], "")
    else:
        edit = Edit(starts[place], ends[place], "")
    yield from mutation(code, node.values[place], edit)


OPERATORS = {
    "drop-scaler-from-save": drop_scaler_from_save,
    "drop-scaler-from-load": drop_scaler_from_load,
    "schedule-regardless": schedule_regardless,
    "raise-on-nonfinite": raise_on_nonfinite,
}
