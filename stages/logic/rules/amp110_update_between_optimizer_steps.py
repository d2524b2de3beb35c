"""AMP110: the scale changes between the steps of two optimizers whose gradients carry the same scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.engine.protocol import Grads, Turn
from stages.logic.flags import flags_disagree
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP110",
    name="update-between-optimizer-steps",
    severity=Severity.CRITICAL,
    summary="The scaler is updated between the steps of two optimizers whose backward ran before.",
    why=(
        "The second optimizer's gradients were made with the old scale and are divided by the new one: twice too large"
        " or too small whenever the scale changed."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(gen, dis, loader, opt_g, opt_d):
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    opt_g.zero_grad()
                    opt_d.zero_grad()
                    with torch.autocast("cuda"):
                        fake = gen(x)
                        loss_g, loss_d = -dis(fake).mean(), dis(fake.detach()).mean()
                    scaler.scale(loss_d).backward()
                    scaler.scale(loss_g).backward()
                    scaler.step(opt_d)
                    scaler.update()  # expect: AMP110
                    scaler.step(opt_g)
                    scaler.update()
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, encoder, head):
                    self.encoder, self.head = encoder, head
                    self.optimizers = [
                        torch.optim.AdamW(encoder.parameters(), lr=1e-5),
                        torch.optim.AdamW(head.parameters(), lr=1e-3),
                    ]
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, x):
                    loss = self.head(self.encoder(x)).mean()
                    self.scaler.scale(loss).backward()
                    for optimizer in self.optimizers:
                        self.scaler.step(optimizer)
                        self.scaler.update()  # expect: AMP110
                        optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(gen, dis, loader, opt_g, opt_d):
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    with torch.autocast("cuda"):
                        loss_d = dis(gen(x).detach()).mean()
                    opt_d.zero_grad()
                    scaler.scale(loss_d).backward()
                    scaler.step(opt_d)
                    scaler.update()
                    with torch.autocast("cuda"):
                        loss_g = -dis(gen(x)).mean()
                    opt_g.zero_grad()
                    scaler.scale(loss_g).backward()
                    scaler.step(opt_g)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(gen, dis, loader, opt_g, opt_d, ratio):
                scaler = torch.amp.GradScaler("cuda")
                opt_g.zero_grad()
                opt_d.zero_grad()
                for i, x in enumerate(loader):
                    scaler.scale(dis(gen(x).detach()).mean()).backward()
                    scaler.step(opt_d)
                    scaler.update()
                    opt_d.zero_grad()
                    if i % ratio == 0:
                        scaler.scale(-dis(gen(x)).mean()).backward()
                        scaler.step(opt_g)
                        scaler.update()
                        opt_g.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizers, scaler):
                for x in loader:
                    loss = model(x)
                    if isinstance(loss, torch.Tensor):
                        scaler.scale(loss.mean()).backward()
                    for optimizer in optimizers:
                        scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)


def check(event: Stepped | Unscaled) -> Iterator[Problem]:
    """Report an update that came between the backward and this step, while another optimizer was stepped."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False:
        return
    protocol = event.state.protocol
    held = protocol.grads(event.optimizer.key)
    at = held.updated_at
    if at is None or held.status is not Grads.SCALED or held.scaler != scaler.key:
        return
    others = [first for owner, first in protocol.served if owner == scaler.key and first != event.optimizer.key]
    if not others or protocol.turn(scaler.key, event.optimizer.key) is not Turn.READY:
        return
    if _one_of_a_list(event) and not at.inside(event.optimizer.key[1]):
        return
    yield Problem(
        place=at,
        message=f"{scaler.label}.update() changes the scale before {event.optimizer.label} is stepped",
        why="Its gradients carry the old scale and are divided by the new one.",
        remedy="Step every optimizer first, then update once.",
        related=(*((site, "scaled backward") for site in held.backwards[-1:]), (event.place, "unscaled here")),
        scaler=scaler,
        suspicion=flags_disagree(event.state) or _one_of_a_list(event),
    )


def _one_of_a_list(event: Stepped | Unscaled) -> bool:
    """Say whether the optimizer is an element of a list that may have no other."""
    return event.optimizer.key[:1] == ("element",)


CHECKS = {Stepped: check, Unscaled: check}
