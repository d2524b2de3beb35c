"""AMP105: the backward runs on the loss as it is, and the scaler then divides its gradients by the scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.engine.protocol import Grads, Turn
from stages.logic.flags import flag_is_off, flags_disagree
from stages.logic.problems import Problem
from stages.logic.rivals import several_optimizers
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP105",
    name="unscaled-backward",
    severity=Severity.CRITICAL,
    summary="The backward runs on the unscaled loss, and the scaler divides its gradients by the scale all the same.",
    why=(
        "`scaler.step` and `unscale_` divide by up to 65536 what was never multiplied: SGD stops learning, Adam hides"
        " it, and the gradients underflow as if there were no scaler. A scaler that never scaled anything raises"
        " `Attempted step but _scale is None`."
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
                    scaler.scale(loss)
                    loss.backward()  # expect: AMP105
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import GradScaler, autocast

            class Trainer:
                def __init__(self, model, lr):
                    self.model = model
                    self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
                    self.scaler = GradScaler()

                def step(self, batch):
                    self.optimizer.zero_grad(set_to_none=True)
                    with autocast():
                        loss = self.model(**batch).loss
                    loss.backward()  # expect: AMP105
                    self.scaler.unscale_(self.optimizer)
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
        Bad("""
            import torch

            accumulate = 4

            def train(model, loader, optimizer, criterion, dice, several):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        if several:
                            loss = criterion(model(x), y)
                        else:
                            loss = criterion(model(x).squeeze(1), y)
                        loss += dice(model(x), y)
                    loss = loss / accumulate
                    loss.backward()  # expect: AMP105
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, several):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    if several:
                        loss = scaler.scale(loss)
                    else:
                        loss = scaler.scale(2 * loss)
                    loss.backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, use_amp):
                scaler = torch.amp.GradScaler("cuda", enabled=use_amp)
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", enabled=use_amp):
                        loss = criterion(model(x), y)
                    if use_amp:
                        scaler.scale(loss).backward()
                    else:
                        loss.backward()
                    scaler.step(optimizer)  # a scaler that is off only steps the optimizer
                    scaler.update()
        """),
        Good("""
            import torch

            scaler = torch.amp.GradScaler("cuda", enabled=False)

            def train(model, loader, optimizer, criterion):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = criterion(model(x), y)
                    loss.backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    loss = scaler.scale(loss / 4) * 2
                    loss.backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def gan(gen, dis, loader, opt_g, opt_d, scaler):
                for x in loader:
                    opt_d.zero_grad()
                    with torch.autocast("cuda"):
                        loss_d = dis(gen(x).detach()).mean()
                    scaler.scale(loss_d).backward()
                    scaler.step(opt_d)
                    opt_g.zero_grad()
                    with torch.autocast("cuda"):
                        loss_g = -dis(gen(x)).mean()
                    scaler.scale(loss_g).backward()
                    scaler.step(opt_g)
                    scaler.update()
        """),
        Good("""
            def finish(scaler, optimizer, loss):
                loss.backward()  # scaled by whoever calls this, for all one can see
                scaler.step(optimizer)
                scaler.update()
        """),
    ),
)


def check(event: Stepped | Unscaled) -> Iterator[Problem]:
    """Report the backward of gradients that a scaler divides, where nothing in them was scaled."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False or event.optimizer.prepared:
        return
    protocol = event.state.protocol
    held = protocol.grads(event.optimizer.key)
    if held.status is not Grads.PLAIN or protocol.turn(scaler.key, event.optimizer.key) is Turn.UNKNOWN:
        return
    at = held.backwards[-1]
    verb = "steps" if isinstance(event, Stepped) else "unscales"
    yield Problem(
        place=at,
        message=f"The backward of an unscaled loss: {scaler.label} {verb} {event.optimizer.label} with its gradients",
        why="The gradients are divided by a scale that they never carried: updates are up to 65536 times too small.",
        remedy=f"Write `{scaler.label}.scale(loss).backward()`: scale() returns the scaled loss and changes nothing.",
        related=((event.place, f"{scaler.label} {verb} the optimizer"),),
        scaler=scaler,
        suspicion=flags_disagree(event.state)
        or (scaler.assumed and (flag_is_off(event.state) or several_optimizers(at, event.state))),
    )


CHECKS = {Stepped: check, Unscaled: check}
