"""AMP112: every micro-batch unscales and updates, though only the last one steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Backward
from stages.logic.engine.protocol import Grads, Turn
from stages.logic.exits import detour, plain_step_since, scaled_step_since
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.protocol import Held
    from stages.logic.engine.values import Key

RULE = RuleInfo(
    code="AMP112",
    name="unscale-update-per-microbatch",
    severity=Severity.CRITICAL,
    summary="unscale_ and update run for every micro-batch, the step only for the last one.",
    why=(
        "After update() the scaler has forgotten that it unscaled: the next unscale_ or step divides the whole sum by"
        " the scale once more, so of all micro-batches only the last one counts."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, k):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y) / k
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)  # expect: AMP112
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if (i + 1) % k == 0:
                        scaler.step(optimizer)
                        optimizer.zero_grad()
                    scaler.update()
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model, accumulate):
                    self.model, self.accumulate = model, accumulate
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def backward(self, loss):
                    self.scaler.scale(loss).backward()
                    self.scaler.unscale_(self.optimizer)  # expect: AMP112
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    self.scaler.update()

                def run(self, loader):
                    for step, x in enumerate(loader):
                        self.backward(self.model(x).mean())
                        if step % self.accumulate == self.accumulate - 1:
                            self.scaler.step(self.optimizer)
                            self.optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, k):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y) / k
                    scaler.scale(loss).backward()
                    if (i + 1) % k == 0:
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
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if torch.isfinite(norm):
                        scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, optimizers, windows, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for window in windows:
                    for optimizer in optimizers:
                        optimizer.zero_grad()
                    for x, y in window:
                        with torch.autocast("cuda", dtype=torch.float16):
                            loss = criterion(model(x), y)
                        scaler.scale(loss / len(window)).backward()
                    for optimizer in optimizers:
                        scaler.unscale_(optimizer)
                    for optimizer in optimizers:
                        scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)


def check(event: Backward) -> Iterator[Problem]:
    """Report a backward that adds to gradients which were unscaled and then forgotten by an update."""
    if event.carries is None or event.by is not None:
        return
    protocol = event.state.protocol
    for optimizer in protocol.optimizers():
        held = protocol.grads(optimizer)
        if not _forgotten(event, optimizer, held) or held.unscaled_at is None:
            continue
        if len(protocol.optimizers()) > 1 and event.place not in held.backwards:
            continue  # may be another optimizer's loss
        test = detour(event.state, held.unscaled_at)
        if test is not None and test.kind == "health":
            continue
        suspicion = test is None or test.kind != "boundary"
        if suspicion and optimizer[0] == "element" and scaled_step_since(event.state, held.unscaled_at):
            continue  # stepped in a second loop over the same optimizers, for all that can be seen
        known = event.state.known[optimizer]
        yield Problem(
            place=held.unscaled_at,
            message=f"{known.label} is unscaled and the scaler updated before all gradients of the step are there",
            why="The next unscale_ or step divides them by the scale again: only the last micro-batch counts.",
            remedy="Unscale, step and update under the same condition, once all micro-batches ran backward.",
            related=((event.place, "and more gradients are added here"),),
            suspicion=suspicion,
        )


def _forgotten(event: Backward, optimizer: Key, held: Held) -> bool:
    """Say whether gradients are unscaled, not stepped with, and the scaler updated since."""
    scaler, at = held.scaler, held.unscaled_at
    if held.status is not Grads.UNSCALED or scaler is None or at is None or held.stepped_at is not None:
        return False
    protocol = event.state.protocol
    ready = protocol.turn(scaler, optimizer) is Turn.READY
    return ready and protocol.last_update(scaler) is not None and not plain_step_since(event.state, at)


CHECKS = {Backward: check}
