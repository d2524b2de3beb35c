"""AMP102: an optimizer steps through the scaler, and once more past it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped
from stages.logic.flags import flags_disagree
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP102",
    name="double-optimizer-step",
    severity=Severity.CRITICAL,
    summary="An optimizer steps through the scaler and then once more past it, with the same gradients.",
    why=(
        "Every update is applied twice, and the second time nothing looks for an overflow: the batch that the scaler"
        " skipped is written into the weights as inf or NaN."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    optimizer.step()  # expect: AMP102
                    scaler.update()
        """),
        Bad("""
            from torch.cuda.amp import GradScaler, autocast

            class Trainer:
                def __init__(self, model, optimizer, args):
                    self.model, self.optimizer, self.args = model, optimizer, args
                    self.scaler = GradScaler(enabled=args.amp)

                def step(self, x):
                    with autocast(enabled=self.args.amp):
                        loss = self.model(x).mean()
                    if self.args.amp:
                        self.scaler.scale(loss).backward()
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
                    else:
                        loss.backward()
                    self.optimizer.step()  # expect: AMP102
                    self.optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, scheduler, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    scheduler.step()
        """),
        Good("""
            import torch

            def alternate(model, loader, optimizer, warm, scaler):
                for x in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda"):
                        loss = model(x).mean()
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    if warm:
                        optimizer.zero_grad()
                        model(x).float().mean().backward()  # a second pass in full precision
                        optimizer.step()
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report a plain step after the scaler's own, with no backward in between."""
    if event.scaler is not None or event.optimizer.prepared:
        return
    held = event.state.protocol.grads(event.optimizer.key)
    if held.stepped_at is None or flags_disagree(event.state):
        return
    label = event.optimizer.label
    yield Problem(
        place=event.place,
        message=f"{label}.step() repeats the step that scaler.step({label}) took",
        why="The second step has no overflow check: what the scaler skipped is applied here.",
        remedy=f"Delete `{label}.step()`: `scaler.step({label})` steps the optimizer.",
        related=((held.stepped_at, "step through the scaler"),),
    )


CHECKS = {Stepped: check}
