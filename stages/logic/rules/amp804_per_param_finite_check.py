"""AMP804: gradients are tested for NaN one parameter at a time."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP804",
    name="per-param-finite-check",
    severity=Severity.LOW,
    summary="Gradients are tested for NaN one parameter at a time.",
    why=(
        "Each test waits for the device, hundreds of times in a step. The scaler tests all gradients at once on the"
        " device, and `torch._foreach_norm` gives one number for all of them."
    ),
    mode="static",
    unseen="The loop is in the text; at run time its waits are those of AMP803.",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    scaler.scale(model(batch)).backward()
                    scaler.unscale_(optimizer)
                    for name, p in model.named_parameters():
                        if p.grad is not None and torch.isnan(p.grad).any():  # expect: AMP804
                            print(name)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    scaler.scale(model(batch)).backward()
                    scaler.unscale_(optimizer)
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if torch.isnan(norm):
                        print("overflow")
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def check(model):
                scaler = torch.amp.GradScaler("cuda")
                for p in model.parameters():
                    if torch.isnan(p).any():
                        raise ValueError(scaler)
        """),
    ),
)

_TESTS = frozenset(["isnan", "isinf", "isfinite"])


READS = Wanted(every=(b"grad", b"parameters"), some=tuple(name.encode() for name in sorted(_TESTS)))


def inspect(view: View) -> Iterator[Problem]:
    """Report loops over parameters that ask of each gradient whether it is finite."""
    if not (view.mentions("grad") and any(view.mentions(test) for test in _TESTS)):
        return
    for loop in ast.walk(view.module.tree):
        if isinstance(loop, ast.For) and _over_parameters(loop.iter):
            found = next((node for item in loop.body for node in ast.walk(item) if _tests_gradient(node)), None)
            if found is not None:
                yield Problem(
                    place=view.place(found),
                    message="each parameter's gradient is tested by itself, which waits for the device each time",
                    why="The host stands still once for every parameter of the model.",
                    remedy="Leave it to the scaler, or test one number: the norm that `clip_grad_norm_` returns.",
                )


def _over_parameters(node: ast.expr) -> bool:
    return any(
        isinstance(item, ast.Attribute) and item.attr in ("parameters", "named_parameters") for item in ast.walk(node)
    )


def _tests_gradient(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=name), args=args) if name in _TESTS:
            return any(
                isinstance(item, ast.Attribute) and item.attr == "grad" for arg in args for item in ast.walk(arg)
            )
    return False
