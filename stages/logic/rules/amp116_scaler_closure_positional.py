"""AMP116: scaler.step gets a closure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped
from stages.logic.engine.values import Callee
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP116",
    name="scaler-closure-positional",
    severity=Severity.CRITICAL,
    summary="scaler.step is given a closure, which computes gradients that nobody unscales.",
    why=(
        "The scaler unscales before it calls the optimizer. A closure then runs backward again, and the optimizer uses"
        " its scaled, unchecked gradients. A closure by keyword raises; by position nothing notices."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, criterion):
                optimizer = torch.optim.LBFGS(model.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    def closure():
                        optimizer.zero_grad()
                        loss = criterion(model(x), y)
                        scaler.scale(loss).backward()
                        return loss
                    closure()
                    scaler.step(optimizer, closure)  # expect: AMP116
                    scaler.update()
        """),
        Bad("""
            import torch

            def step(model, x, sam, scaler):
                scaler.scale(model(x).mean()).backward()
                scaler.step(sam, closure=lambda: scaler.scale(model(x).mean()).backward())  # expect: AMP116
                scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, criterion, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    scaler.scale(criterion(model(x), y)).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            class LossScaler:
                def __init__(self):
                    self.scaler = torch.amp.GradScaler("cuda")

                def run(self, optimizer, closure=None):
                    self.scaler.step(optimizer, closure)  # passes on what it gets: None, most often
                    self.scaler.update()
        """),
        Good("""
            import torch

            def step(model, x, optimizer, step_number):
                scaler = torch.amp.GradScaler("cuda", enabled=False)
                def closure():
                    loss = model(x).mean()
                    loss.backward()
                    return loss
                scaler.step(optimizer, closure)  # a scaler that is off passes it on
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report a second argument of `scaler.step` that is a function."""
    if event.scaler is None or event.scaler.enabled is False or event.call is None:
        return
    by_keyword = any(word.arg == "closure" and isinstance(word.value, ast.Lambda) for word in event.call.keywords)
    if not by_keyword and not _positional(event.call, event):
        return
    yield Problem(
        place=event.place,
        message=f"{event.scaler.label}.step() is given a closure",
        why="It raises RuntimeError: closures are not supported."
        if by_keyword
        else "The closure's backward makes scaled gradients, and the optimizer uses them as they are.",
        remedy="Train with closures in bfloat16 or float32, without a scaler, or unscale between the passes by hand.",
        severity=Severity.HIGH if by_keyword else None,
        scaler=event.scaler,
    )


def _positional(call: ast.Call, event: Stepped) -> bool:
    for node, value in zip(call.args[1:], event.args[1:], strict=False):
        if isinstance(value, Callee) or isinstance(node, ast.Lambda):
            return True
    return False


CHECKS = {Stepped: check}
