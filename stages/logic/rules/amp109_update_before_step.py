"""AMP109: the scaler is updated before the step that its gradients wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped, Updated
from stages.logic.engine.protocol import Grads, Turn
from stages.logic.exits import asks_for_gradients, detour, plain_step_since
from stages.logic.flags import flags_disagree
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.protocol import Held, Protocol
    from stages.logic.engine.values import Scaler

RULE = RuleInfo(
    code="AMP109",
    name="update-before-step",
    severity=Severity.HIGH,
    summary="The scaler is updated before the optimizer steps.",
    why=(
        "update() raises `No inf checks were recorded prior to update.` Where unscale_ ran before it, update() makes"
        " the scaler forget that, and step() divides the gradients by the scale a second time."
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
                    scaler.update()  # expect: AMP109
                    scaler.step(optimizer)
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, scaler):
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.update()  # expect: AMP109
                    scaler.step(optimizer)
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, k):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y) / k
                    scaler.scale(loss).backward()
                    if (i + 1) % k == 0:
                        scaler.step(optimizer)
                        optimizer.zero_grad()
                    scaler.update()  # expect: AMP109
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
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, opt_a, opt_b, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    for optimizer in [opt_a, opt_b]:
                        optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    for optimizer in [opt_a, opt_b]:
                        scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            class OwnScaler(torch.amp.GradScaler):
                def step_after_own_unscale(self, optimizer):
                    optimizer.step()

            def step(model, x, optimizer):
                scaler = OwnScaler()
                scaler.scale(model(x).mean()).backward()
                scaler.step_after_own_unscale(optimizer)
                scaler.update()
        """),
        Good("""
            def after_batch(scaler):
                scaler.update()

            def reset(scaler, loss):
                scaler.scale(loss).backward()
                scaler.update(1024.0)  # sets the scale, and asks for no check
        """),
        Good("""
            import torch

            class Optimizers:
                def __init__(self, groups):
                    self.optimizers = {name: torch.optim.Adam(params) for name, params in groups.items()}

                def step(self, scaler, names):
                    for name in names:
                        optimizer = self.optimizers[name]
                        if any(any(p.grad is not None for p in group["params"]) for group in optimizer.param_groups):
                            scaler.step(optimizer)

            class Trainer:
                def __init__(self, optimizers: Optimizers):
                    self.optimizers = optimizers
                    self.scaler = torch.amp.GradScaler("cuda")

                def iterate(self, loss, names):
                    self.scaler.scale(loss).backward()
                    self.optimizers.step(self.scaler, names)
                    self.scaler.update()
        """),
    ),
)
_REMEDY = "Step first, with every optimizer, and update once after that."


def check_update(event: Updated) -> Iterator[Problem]:
    """Report an update while gradients are scaled and no optimizer was checked."""
    scaler = event.scaler
    if scaler.enabled is False or event.value is not None:
        return
    protocol = event.state.protocol
    waiting = _waiting(protocol, scaler)
    if waiting is None or any(turn is not Turn.READY for turn in protocol.turned(scaler.key).values()):
        return
    test = detour(event.state, waiting.backwards[-1]) if waiting.backwards else None
    if asks_for_gradients(test):
        return
    yield Problem(
        place=event.place,
        message=f"{scaler.label}.update() runs before any optimizer of this backward was stepped",
        why="It raises AssertionError: no inf checks were recorded prior to update.",
        remedy=_REMEDY,
        related=tuple((site, "scaled backward") for site in waiting.backwards[-1:]),
        scaler=scaler,
        suspicion=flags_disagree(event.state) or (test is not None and test.kind != "boundary"),
    )


def check_step(event: Stepped) -> Iterator[Problem]:
    """Report an update between unscale_ and the step."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False:
        return
    protocol = event.state.protocol
    held = protocol.grads(event.optimizer.key)
    at = protocol.last_update(scaler.key)
    ready = protocol.turn(scaler.key, event.optimizer.key) is Turn.READY
    if held.status is not Grads.UNSCALED or not ready or at is None or held.unscaled_at is None:
        return
    if held.scaler != scaler.key or plain_step_since(event.state, held.unscaled_at):
        return
    yield Problem(
        place=at,
        message=f"{scaler.label}.update() runs between unscale_({event.optimizer.label}) and its step",
        why="The scaler forgets that it unscaled, and step() divides the gradients by the scale again.",
        remedy=_REMEDY,
        related=((held.unscaled_at, "unscaled here"), (event.place, "and divided once more here")),
        scaler=scaler,
        suspicion=flags_disagree(event.state),
    )


def _waiting(protocol: Protocol, scaler: Scaler) -> Held | None:
    """Return gradients that wait for a step; those of no optimizer in particular where none was met."""
    held = [protocol.grads(key) for key in protocol.optimizers()] or [protocol.others]
    for item in held:
        if item.status is Grads.SCALED and item.scaler == scaler.key and item.updated_at is None:
            return item
    return None


CHECKS = {Updated: check_update, Stepped: check_step}
