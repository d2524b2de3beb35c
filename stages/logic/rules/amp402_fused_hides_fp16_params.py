"""AMP402: A fused optimizer trains float16 parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import casts_of
from stages.logic.masters import trains_a_part
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


RULE = RuleInfo(
    code="AMP402",
    name="fused-hides-fp16-params",
    severity=Severity.CRITICAL,
    summary="A fused optimizer trains float16 parameters.",
    why=(
        "Fused optimizers take float16 gradients, so that the scaler's error about them never comes: training"
        " goes on in pure float16, where updates below a two-thousandth of a weight round to nothing."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(loader, criterion):
                net = torch.nn.Linear(8, 8).cuda().to(torch.float16)
                optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    loss = criterion(net(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)  # expect: AMP402
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(loader, criterion):
                net = torch.nn.Linear(8, 8).cuda()
                optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(net(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report a step of a fused optimizer over parameters that were cast to float16."""
    if not event.optimizer.fused:
        return
    for cast in casts_of(event.state, event.optimizer):
        if cast.dtype == "float16" and not cast.late:
            yield Problem(
                place=event.place,
                message=f"{event.optimizer.label} is fused, so nothing refuses that its parameters are float16",
                remedy="Keep the parameters in float32 and run the forward under `torch.autocast`.",
                related=((cast.place, "the parameters become float16"),),
                suspicion=trains_a_part(cast.place.module) or trains_a_part(event.place.module),
            )
            return


CHECKS = {Stepped: check}
