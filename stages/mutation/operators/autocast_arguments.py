"""Autocast with the wrong device, dtype or flag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.mutation.autocasts import enabled, is_old, torch_calls
from stages.mutation.calls import with_arguments
from stages.mutation.changes import mutation
from stages.mutation.code import keyword
from stages.mutation.scalers import calls, made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def other_device(code: Code) -> Iterator[Mutation]:
    for call in torch_calls(code):
        if is_old(code, call):
            continue
        if call.args:
            args = ['"xpu"', *(code.text(item) for item in call.args[1:])]
            yield from mutation(code, call, with_arguments(code, call, args=args))
        elif keyword(call, "device_type") is not None:
            yield from mutation(code, call, with_arguments(code, call, device_type='"xpu"'))


def dtype_as_text(code: Code) -> Iterator[Mutation]:
    for call in torch_calls(code):
        if len(call.args) < 2:
            yield from mutation(code, call, with_arguments(code, call, dtype='"float16"'))


def bfloat16_with_scaler(code: Code) -> Iterator[Mutation]:
    if not calls(code, "scale") or not code.imports_torch:
        return
    for call in torch_calls(code):
        if len(call.args) < 2 and "bfloat16" not in code.text(call):
            yield from mutation(code, call, with_arguments(code, call, dtype="torch.bfloat16"))


def autocast_regardless(code: Code) -> Iterator[Mutation]:
    if not any(keyword(call, "enabled") for _, call in made(code)):
        return
    for call in torch_calls(code):
        if enabled(code, call) is not None:
            args: list[str] | None = [] if is_old(code, call) else None
            yield from mutation(code, call, with_arguments(code, call, args=args, without=("enabled",)))


def flag_as_dtype(code: Code) -> Iterator[Mutation]:
    for call in torch_calls(code):
        flag = keyword(call, "enabled")
        if flag is not None and len(call.args) == 1 and not is_old(code, call):
            args = [code.text(call.args[0]), code.text(flag.value)]
            yield from mutation(code, call, with_arguments(code, call, args=args, without=("enabled", "dtype")))


OPERATORS = {
    "other-device": other_device,
    "dtype-as-text": dtype_as_text,
    "bfloat16-with-scaler": bfloat16_with_scaler,
    "autocast-regardless": autocast_regardless,
    "flag-as-dtype": flag_as_dtype,
}
