"""AMP121: infinite gradients are made finite before the scaler could see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import GradsEdited
from stages.logic.gradients import masks_nonfinite, scaled
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP121",
    name="nonfinite-grad-masked",
    severity=Severity.CRITICAL,
    summary="Infinite gradients are made finite before the scaler could see them.",
    why=(
        "An overflow is how the scaler learns that its scale is too large. Replaced by zeros or by large numbers it is"
        " applied as a step, and the scale grows on: every later step is garbage, too."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    for p in model.parameters():
                        if p.grad is not None:
                            torch.nan_to_num(p.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=p.grad)  # expect: AMP121
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    for p in model.parameters():
                        p.grad[~torch.isfinite(p.grad)] = 0  # expect: AMP121
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    scaler.unscale_(optimizer)
                    for p in model.parameters():
                        p.grad.nan_to_num_(0.0)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, scaler):
                for batch in loader:
                    optimizer.zero_grad()
                    model(batch).backward()
                    for p in model.parameters():
                        torch.nan_to_num_(p.grad)
                    optimizer.step()
                for batch in loader:
                    scaler.scale(model(batch)).backward()
                    worst = [torch.nan_to_num(p.grad).abs() for p in model.parameters()]
                    scaler.step(optimizer)
                    scaler.update()
                    print(len(worst))
        """),
    ),
)


def check(event: GradsEdited) -> Iterator[Problem]:
    """Report a write to scaled gradients that replaces what is not finite."""
    held = scaled(event.state, event.grads.of)
    if held is None or not masks_nonfinite(event):
        return
    yield Problem(
        place=event.place,
        message="infinite gradients are made finite here, before the scaler has looked at them",
        why="The scaler finds nothing to skip: the step is taken with what was put in their place, the scale stays.",
        remedy="Leave it to the scaler, which skips such a step; or do it after `scaler.unscale_(optimizer)`.",
        related=tuple((site, "scaled backward") for site in held.backwards[-1:]),
    )


CHECKS = {GradsEdited: check}
