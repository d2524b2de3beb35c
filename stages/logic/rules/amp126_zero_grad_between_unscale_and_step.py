"""AMP126: gradients are cleared after they were unscaled and before they are used."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.logic.engine.events import Stepped
from stages.logic.engine.protocol import Grads, Turn
from stages.logic.flags import flags_disagree
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place

RULE = RuleInfo(
    code="AMP126",
    name="zero-grad-between-unscale-and-step",
    severity=Severity.CRITICAL,
    summary="Gradients are cleared between unscale_ and the step that should use them.",
    why=(
        "The scaler recorded at unscale_ that all is finite, so step() calls the optimizer, which finds no gradients:"
        " the parameters never change, and nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.zero_grad()  # expect: AMP126
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, x):
                    self.scaler.scale(self.model(x).mean()).backward()
                    self.scaler.unscale_(self.optimizer)
                    self.model.zero_grad(set_to_none=True)  # expect: AMP126
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    scaler.scale(criterion(model(x), y)).backward()
                    scaler.unscale_(optimizer)
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if not torch.isfinite(norm):
                        optimizer.zero_grad()
                        scaler.update()
                        continue
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, limit):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    scaler.scale(criterion(model(x), y)).backward()
                    scaler.unscale_(optimizer)
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if norm > limit:  # this one step is left out on purpose
                        optimizer.zero_grad()
                    scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report a step on gradients that were unscaled and then thrown away."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False:
        return
    protocol, key = event.state.protocol, event.optimizer.key
    held = protocol.grads(key)
    if held.status is not Grads.CLEAN or held.cleared_at is None or protocol.turn(scaler.key, key) is not Turn.UNSCALED:
        return
    unscaled = protocol.turned_at(scaler.key, key)
    if unscaled is not None and _chosen_since(unscaled, held.cleared_at):
        return
    yield Problem(
        place=held.cleared_at,
        message=f"zero_grad clears what {scaler.label} unscaled, before {scaler.label}.step({event.optimizer.label})",
        why="The optimizer steps without gradients: the parameters never change.",
        remedy="Clear gradients after the step, or before the backward.",
        related=(*(((unscaled, "unscaled here"),) if unscaled else ()), (event.place, "stepped here")),
        scaler=scaler,
        suspicion=flags_disagree(event.state),
    )


def _chosen_since(unscaled: Place, cleared: Place) -> bool:
    """Say whether a test after unscale_ leads to the clearing: then some steps are left out on purpose."""
    parents = cleared.module.scopes.parents
    around = parents.get(cleared.node)
    while around is not None and not isinstance(around, Function):
        if isinstance(around, ast.If | ast.IfExp | ast.Match) and not unscaled.inside(around):
            return True
        around = parents.get(around)
    return False


CHECKS = {Stepped: check}
