"""AMP703: a GradScaler gets, by position, something that its parameter there is not."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.wanted import Wanted
from stages.logic.constructors import bind, plainly, scalers
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
    from stages.logic.constructors import Signature
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP703",
    name="gradscaler-positional-arg",
    severity=Severity.CRITICAL,
    summary="A GradScaler gets, by position, something that its parameter there is not.",
    why=(
        "The first parameter is `init_scale` in torch.cuda.amp and `device` in torch.amp; neither constructor checks."
        " A flag becomes a loss scale of 0 or 1, or a device: with 0 every parameter is NaN after one step, and the new"
        " scaler is on whatever the flag says."
    ),
    mode="both",
    examples=(
        Bad("""
            import argparse
            import torch

            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--amp", action="store_true")
                args = parser.parse_args()
                scaler = torch.cuda.amp.GradScaler(args.amp)  # expect: AMP703
                return scaler
        """),
        Bad("""
            from torch.amp import GradScaler

            class Trainer:
                def __init__(self, model, use_amp: bool = True):
                    self.model = model
                    self.scaler = GradScaler(use_amp)  # expect: AMP703
        """),
        Bad("""
            import torch
            from torch.cuda.amp import GradScaler

            device = torch.device("cuda")
            scaler = GradScaler("cuda") if device.type == "cuda" else None  # expect: AMP703
            other = torch.amp.GradScaler(2.0**14)  # expect: AMP703
        """),
        Bad("""
            from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

            def build(init_scale: float, window: int, group):
                return ShardedGradScaler(init_scale, 0.5, 2.0, window, True, group)  # expect: AMP703
        """),
        Good("""
            import torch

            def build(args, device):
                first = torch.cuda.amp.GradScaler(2.0**16)
                second = torch.amp.GradScaler(device, enabled=args.amp)
                third = torch.amp.GradScaler("cuda", init_scale=2.0**16)
                fourth = torch.cuda.amp.GradScaler(enabled=args.amp)
                return first, second, third, fourth
        """),
        Good("""
            try:
                from torch.amp import GradScaler
            except ImportError:
                from torch.cuda.amp import GradScaler

            from trainer.scaling import GradScaler as OwnScaler

            def build(config, scale):
                return GradScaler(config.scale), OwnScaler(True), GradScaler(*config.values)
        """),
    ),
)

_NO_NUMBER = frozenset(["flag", "text", "dtype"])
_WRONG = {
    "device": frozenset(["flag", "number", "dtype"]),
    "enabled": frozenset(["text", "dtype"]),
    "process_group": _NO_NUMBER,
}
_SINCE = (2, 3)  # torch.amp.GradScaler, and `device` as the first parameter of the sharded one


READS = Wanted(every=(b"caler",))


def inspect(view: View) -> Iterator[Problem]:
    """Look at every scaler that is made."""
    for seen in view.calls():
        if isinstance(seen.node, ast.Call) and seen.node.args:
            signatures = scalers(view.origins(seen.node.func, seen.scope))
            found = [_mistaken(view, seen, signature) for signature in signatures]
            if found and None not in found:
                yield from found[:1]  # type: ignore[misc]


def _mistaken(view: View, seen: Seen, signature: Signature) -> Problem | None:
    """Return what is wrong with the first argument that stands in the wrong place."""
    assert isinstance(seen.node, ast.Call)
    if "Sharded" in signature.name and view.torch.before is not None and view.torch.before <= _SINCE:
        return None
    for parameter, argument in bind(seen.node, signature).positional:
        what = plainly(view, argument, seen.scope)
        meant = last_name(argument)
        wrong = what in _WRONG.get(parameter, _NO_NUMBER)
        if wrong or (meant in signature.parameters and meant != parameter):
            return _problem(view, seen.node, signature, parameter, argument, what)
    return None


def _problem(
    view: View, call: ast.Call, signature: Signature, parameter: str, argument: ast.expr, what: str | None
) -> Problem:
    text = ast.unparse(argument)
    return Problem(
        place=view.place(call),
        message=f"{text} stands where {signature.name} takes its `{parameter}`",
        why=_effect(parameter, what),
        remedy=f"Name the argument: `{_named(call, signature, parameter, text, what)}`.",
    )


def _effect(parameter: str, what: str | None) -> str:
    if parameter == "device" and what in ("flag", None):
        return "The scaler is on whatever the flag says, as only `enabled` turns it off; nothing raises."
    if parameter == "device":
        return "The number is taken for a device: the scale that was meant is not used."
    if parameter == "init_scale" and what == "flag":
        return (
            "True becomes an initial scale of 1, False one of 0: the scaler stays on, divides by zero, and every"
            " parameter is NaN after the first step. Nothing raises."
        )
    return "The constructor does not check its arguments; what was meant is not used, and scaling fails or is off."


def _named(call: ast.Call, signature: Signature, parameter: str, text: str, what: str | None) -> str:
    device = signature.device or "cuda"
    keyword = {"flag": "enabled", "number": "init_scale"}.get(what or "", "enabled")
    if what == "text":
        return f"torch.amp.GradScaler({text})"
    name = "ShardedGradScaler" if "Sharded" in signature.name else "torch.amp.GradScaler"
    return f'{name}("{device}", {keyword}={text})'
