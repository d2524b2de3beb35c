"""AMP125: a penalty is computed from gradients of a scaled output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Called
from stages.logic.engine.values import Const, Items, Tensor
from stages.logic.gradients import divides_by_scale
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.values import Value

RULE = RuleInfo(
    code="AMP125",
    name="grad-penalty-on-scaled-grads",
    severity=Severity.CRITICAL,
    summary="A penalty is computed from gradients of a scaled output.",
    why=(
        "A norm, and even more its square, of gradients that carry the loss scale has nothing to do with the penalty"
        " that was meant: measured, 74789 instead of 0.55. It then outweighs every other loss."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(critic, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    x.requires_grad_()
                    out = critic(x).sum()
                    grads = torch.autograd.grad(scaler.scale(out), x, create_graph=True)[0]  # expect: AMP125
                    penalty = (grads.norm(2, dim=1) - 1).pow(2).mean()
                    optimizer.zero_grad()
                    scaler.scale(out + 10 * penalty).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(critic, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    x.requires_grad_()
                    out = critic(x).sum()
                    grads = torch.autograd.grad(outputs=scaler.scale(out), inputs=x, create_graph=True)[0]
                    grads = grads * (1.0 / scaler.get_scale())
                    penalty = (grads.norm(2, dim=1) - 1).pow(2).mean()
                    optimizer.zero_grad()
                    scaler.scale(out + 10 * penalty).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def penalty(critic, x, scaler):
                out = critic(x).sum()
                plain = torch.autograd.grad(out, x, create_graph=True)[0]
                first_order = torch.autograd.grad(scaler.scale(out), x)[0]
                return plain.norm(), first_order
        """),
    ),
)


def check(event: Called) -> Iterator[Problem]:
    """Report `autograd.grad` of a scaled output with a graph to go on from, where no scale is taken out again."""
    if event.name != "torch.autograd.grad" or event.keywords.get("create_graph") != Const(True):
        return
    outputs = event.keywords.get("outputs") or (event.args[0] if event.args else None)
    if not _is_scaled(outputs) or divides_by_scale(event.place):
        return
    yield Problem(
        place=event.place,
        message="these gradients are of a scaled output, and go into a penalty without being unscaled",
        why="The penalty grows with the scale, and with its square where it is squared.",
        remedy="Divide them first: `grads = grads / scaler.get_scale()`.",
    )


def _is_scaled(value: Value | None) -> bool:
    if isinstance(value, Items):
        return any(_is_scaled(item) for item in value.values)
    return isinstance(value, Tensor) and not value.mixed


CHECKS = {Called: check}
