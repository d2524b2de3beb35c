"""AMP139: a scaler for CUDA scales a loss that is computed on another device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.casting import forward_of, is_ours, where_made
from stages.logic.engine.events import Scaled
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP139",
    name="scaler-silently-disabled",
    severity=Severity.MEDIUM,
    summary="A scaler for CUDA scales a loss that is computed on another device.",
    why=(
        "A GradScaler is for CUDA unless it is told otherwise. Without CUDA it warns once and turns itself off, so"
        " that float16 on the CPU trains with no scaling at all."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler()  # expect: AMP139
                for batch in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cpu", dtype=torch.float16):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, device):
                scaler = torch.amp.GradScaler("cpu")
                other = torch.amp.GradScaler(device)
                for batch in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cpu", dtype=torch.float16):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                for batch in loader:
                    with torch.autocast(device, dtype=torch.float16):
                        loss = model(batch)
                    other.scale(loss).backward()
                    other.step(optimizer)
                    other.update()
        """),
    ),
)


def check(event: Scaled) -> Iterator[Problem]:
    """Report a scaler whose device is not the one of the context that the loss comes out of."""
    forward = forward_of(event.state)
    if forward is None or forward.context.dtype != "float16" or not is_ours(event.scaler) or not event.scaler.enabled:
        return
    device = forward.context.device
    if event.scaler.device == "cuda" and device in ("cpu", "xpu", "mps") and event.scaler.at is not None:
        yield Problem(
            place=where_made(event),
            message=f"this GradScaler is for CUDA, but the loss is computed under autocast for {device}",
            why="Where there is no CUDA the scaler turns itself off with a warning, and float16 gradients underflow.",
            remedy=f'Pass the device: `torch.amp.GradScaler("{device}")`.',
            related=((forward.place, f"autocast for {device}"),),
        )


CHECKS = {Scaled: check}
