"""AMP702: an autocast context gets, by position, something that its parameter there is not."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.constructors import autocasts, bind, plainly
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
    from stages.logic.constructors import Signature
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP702",
    name="autocast-positional-arg",
    severity=Severity.HIGH,
    summary="An autocast context gets, by position, something that its parameter there is not.",
    why=(
        "torch.amp.autocast takes (device_type, dtype, enabled), torch.cuda.amp.autocast (enabled, dtype). A flag in"
        " the place of a dtype raises TypeError when the context is entered, often only once AMP is turned on."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def step(model, batch, use_amp):
                with torch.amp.autocast("cuda", use_amp):  # expect: AMP702
                    return model(batch)
        """),
        Bad("""
            from torch import autocast
            import torch

            def evaluate(args, model, batch):
                with autocast(args.amp):  # expect: AMP702
                    first = model(batch)
                with autocast("cuda", args.dtype is not None):  # expect: AMP702
                    second = model(batch)
                with torch.cuda.amp.autocast(torch.bfloat16):  # expect: AMP702
                    return first, second, model(batch)
        """),
        Good("""
            import torch

            def step(model, batch, use_amp, device, amp_dtype):
                with torch.cuda.amp.autocast(use_amp):
                    first = model(batch)
                with torch.cuda.amp.autocast(use_amp, torch.float16):
                    second = model(batch)
                with torch.autocast(device.type, amp_dtype, use_amp):
                    third = model(batch)
                with torch.amp.autocast("cuda", torch.bfloat16):
                    fourth = model(batch)
                with torch.amp.autocast("cuda", enabled=use_amp):
                    return first, second, third, fourth, model(batch)
        """),
        Good("""
            import torch
            from contextlib import nullcontext

            def context(precision, device_type):
                dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
                return nullcontext() if device_type == "cpu" else torch.autocast(device_type, dtype)
        """),
    ),
)

_WRONG = {
    "device_type": frozenset(["flag", "number", "dtype"]),
    "dtype": frozenset(["flag", "number", "text"]),
    "enabled": frozenset(["dtype", "text"]),
    "cache_enabled": frozenset(["dtype", "text"]),
}


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Look at every autocast context that is made."""
    for seen in view.calls():
        if isinstance(seen.node, ast.Call) and seen.node.args:
            signatures = autocasts(view.origins(seen.node.func, seen.scope))
            found = [_mistaken(view, seen, signature) for signature in signatures]
            if found and None not in found:
                yield from found[:1]  # type: ignore[misc]


def _mistaken(view: View, seen: Seen, signature: Signature) -> Problem | None:
    assert isinstance(seen.node, ast.Call)
    for parameter, argument in bind(seen.node, signature).positional:
        what = plainly(view, argument, seen.scope)
        if what in _WRONG[parameter]:
            return _problem(view, seen.node, signature, parameter, argument, what)
    return None


def _problem(
    view: View, call: ast.Call, signature: Signature, parameter: str, argument: ast.expr, what: str
) -> Problem:
    text = ast.unparse(argument)
    return Problem(
        place=view.place(call),
        message=f"{text} stands where {signature.name} takes its `{parameter}`",
        why=f"A {what} is no `{parameter}`: torch raises when the context is made or entered.",
        remedy=f"Name the argument: `{_named(call, signature, argument, what)}`.",
    )


def _named(call: ast.Call, signature: Signature, argument: ast.expr, what: str) -> str:
    """Write the call with its device first and everything else by keyword."""
    text = ast.unparse(argument)
    first = call.args[0]
    device = f'"{signature.device or "cuda"}"'
    if signature.device == "" and first is not argument:
        device = ast.unparse(first)
    keyword = {"flag": "enabled", "dtype": "dtype"}.get(what)
    return f"torch.amp.autocast({device}, {keyword}={text})" if keyword else f"torch.amp.autocast({text})"
