"""The scaler as it is made: where, with what, or not at all."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.mutation.calls import with_arguments
from stages.mutation.changes import after, before, left_out, mutation, replaced
from stages.mutation.code import dotted, keyword, names_in, receiver
from stages.mutation.operators.loss import grouped
from stages.mutation.scalers import backwards, calls, made, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def scaler_in_loop(code: Code) -> Iterator[Mutation]:
    for statement, call in made(code):
        for step in calls(code, "step"):
            used, loop = receiver(step), code.loop(step)
            same = code.function(step) is code.function(statement)
            portable = names_in(call) <= _imported(code)
            if used is None or loop is None or statement in ast.walk(loop) or not (same or portable):
                continue
            if same and dotted(used) != dotted(statement.targets[0]):
                continue
            yield from mutation(code, step, before(code, loop.body[0], f"{dotted(used)} = {code.text(call)}"))


def zero_scale(code: Code) -> Iterator[Mutation]:
    for _, call in made(code):
        yield from mutation(code, call, with_arguments(code, call, init_scale="0.0"))


def flag_as_scale(code: Code) -> Iterator[Mutation]:
    for _, call in made(code):
        flag = keyword(call, "enabled")
        if flag is not None:
            args = [code.text(flag.value)]
            yield from mutation(code, call, with_arguments(code, call, args=args, without=("enabled", "device")))


def scaler_off(code: Code) -> Iterator[Mutation]:
    for _, call in made(code):
        yield from mutation(code, call, with_arguments(code, call, enabled="False"))


def scaler_on_default_device(code: Code) -> Iterator[Mutation]:
    for _, call in made(code):
        named = keyword(call, "device")
        devices = [*call.args[:1], *([named.value] if named else [])]
        if any(isinstance(device, ast.Constant) and device.value == "cpu" for device in devices):
            yield from mutation(code, call, with_arguments(code, call, args=(), without=("device",)))


def detect_anomaly(code: Code) -> Iterator[Mutation]:
    for statement, _ in made(code):
        if code.imports_torch:
            yield from mutation(code, statement, after(code, statement, "torch.autograd.set_detect_anomaly(True)"))


def no_scaler(code: Code) -> Iterator[Mutation]:
    owners = dict.fromkeys(code.function(statement) for statement, _, _ in backwards(code))
    for owner in owners:
        steps = [call for call in calls(code, "step") if code.function(call) is owner]
        scales = [call for call in calls(code, "scale") if code.function(call) is owner]
        if not steps or not isinstance(owner, Function | ast.Module):
            continue
        edits = [replaced(code, scale, grouped(code, scale.args[0])) for scale in scales]
        edits += [replaced(code, step, f"{code.text(step.args[0])}.step()") for step in steps]
        for method in ("unscale_", "update"):
            edits += [left_out(code, item) for item, call in statements(code, method) if code.function(call) is owner]
        yield from mutation(code, scales[0], *edits)


def _imported(code: Code) -> set[str]:
    found = set()
    for node in code.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {item.asname or item.name.partition(".")[0] for item in node.names}
    return found


OPERATORS = {
    "scaler-in-loop": scaler_in_loop,
    "zero-scale": zero_scale,
    "flag-as-scale": flag_as_scale,
    "scaler-off": scaler_off,
    "scaler-on-default-device": scaler_on_default_device,
    "detect-anomaly": detect_anomaly,
    "no-scaler": no_scaler,
}
