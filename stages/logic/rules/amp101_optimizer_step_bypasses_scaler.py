"""AMP101: an optimizer steps past the scaler on gradients that the scaler scaled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.logic.engine.events import Stepped
from stages.logic.engine.protocol import Grads
from stages.logic.flags import flags_disagree
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.protocol import Held

RULE = RuleInfo(
    code="AMP101",
    name="optimizer-step-bypasses-scaler",
    severity=Severity.CRITICAL,
    summary="An optimizer steps past the scaler on gradients of a scaled loss.",
    why=(
        "The gradients carry the loss scale, so the update is up to 65536 times too large, and a batch that overflowed"
        " is written into the weights instead of being skipped. Adam hides it until the first overflow."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, criterion):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    optimizer.step()  # expect: AMP101
        """),
        Bad("""
            import torch
            from torch.cuda.amp import GradScaler, autocast

            class Trainer:
                def __init__(self, model, optimizer):
                    self.model, self.optimizer = model, optimizer
                    self.scaler = GradScaler()

                def train_step(self, x, y):
                    self.optimizer.zero_grad()
                    with autocast():
                        loss = torch.nn.functional.cross_entropy(self.model(x), y)
                    self.scaler.scale(loss).backward()
                    self.apply()

                def apply(self):
                    self.optimizer.step()  # expect: AMP101
                    self.scaler.update()
        """),
        Bad("""
            import torch

            def fit(net, batches, opt, scaler):
                for x, y in batches:
                    opt.zero_grad()
                    with torch.autocast("cuda"):
                        loss = torch.nn.functional.mse_loss(net(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(opt)
                    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                    opt.step()  # expect: AMP101
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, criterion, optimizer, use_amp):
                scaler = torch.amp.GradScaler("cuda") if use_amp else None
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", enabled=use_amp):
                        loss = criterion(model(x), y)
                    if scaler is not None:
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()
                    else:
                        loss.backward()
                        optimizer.step()
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, args, model):
                    self.args, self.model = args, model
                    self.optimizer = torch.optim.AdamW(model.parameters())
                    self.scaler = torch.amp.GradScaler("cuda", enabled=args.fp16)

                def step(self, x):
                    loss = self.scaler.scale(self.model(x).mean())
                    loss.backward()
                    if self.args.fp16:
                        self.scaler.step(self.optimizer)
                    else:
                        self.optimizer.step()
                    self.scaler.update()
                    self.optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(generator, critic, loader):
                opt_g = torch.optim.Adam(generator.parameters())
                opt_d = torch.optim.Adam(critic.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for real in loader:
                    opt_d.zero_grad()
                    critic(real).mean().backward()  # the critic stays in full precision
                    opt_d.step()
                    opt_g.zero_grad()
                    with torch.autocast("cuda"):
                        loss = -critic(generator(real)).mean()
                    scaler.scale(loss).backward()
                    scaler.step(opt_g)
                    scaler.update()
        """),
        Good("""
            import torch

            def fit(net, batches, opt, scaler):
                for x, y in batches:
                    opt.zero_grad()
                    with torch.autocast("cuda"):
                        loss = torch.nn.functional.mse_loss(net(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(opt)
                    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                    if torch.isfinite(norm):
                        opt.step()  # the check that the scaler would have made
                    scaler.update()
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, models, optimizer):
                    self.models, self.optimizer = models, optimizer  # several in one, by name
                    self.scaler = torch.amp.GradScaler("cuda")

                def train(self, batches):
                    for x, y in batches:
                        self.optimizer.zero_grad()
                        self.scaler.scale(self.models.loss(x, y)).backward()
                        self.optimizer.step("generator", scaler=self.scaler)
        """),
        Good("""
            import torch
            from project import optim

            def fit(net, batches, opt):
                scaler = torch.amp.GradScaler("cuda")
                average = optim.ModelEMA(net, decay=0.999)
                for x, y in batches:
                    scaler.scale(torch.nn.functional.mse_loss(net(x), y)).backward()
                    average.step()  # averages weights: no optimizer
                    scaler.step(opt)
                    scaler.update()
        """),
    ),
)
_FINITE = late(r"finite|isnan|isinf|\binf\b|nan\b|norm|overflow|skip", re.I)


def check(event: Stepped) -> Iterator[Problem]:
    """Report a plain step on gradients that the scaler scaled, whether it unscaled them since or not."""
    if event.scaler is not None or event.optimizer.prepared:
        return
    held = event.state.protocol.grads(event.optimizer.key)
    if held.status is Grads.SCALED:
        what = "gradients that still carry the loss scale"
    elif held.status is Grads.UNSCALED and not _checked_by_hand(event, held):
        what = "unscaled gradients that nobody checked for an overflow"
    else:
        return
    label = event.optimizer.label
    yield Problem(
        place=event.place,
        message=f"{label}.step() bypasses the scaler and applies {what}",
        why="Only scaler.step() skips the update of a batch whose gradients overflowed, and unscales what it applies.",
        remedy=f"Write `scaler.step({label})`, and `scaler.update()` once after it.",
        related=tuple((site, "scaled backward") for site in held.backwards[-1:]),
        suspicion=flags_disagree(event.state) or _has_its_own_step(event) or _may_be_unscaled(event),
    )


def _checked_by_hand(event: Stepped, held: Held) -> bool:
    """Say whether a test since unscale_ asked for what the scaler would have looked at."""
    since = held.unscaled_at
    return since is not None and any(
        place.module is since.module and place.line >= since.line and _FINITE.search(place.module.code(place.line))
        for place, _ in event.state.decisions
    )


def _has_its_own_step(event: Stepped) -> bool:
    """Say whether the project wrote the optimizer: its step may unscale."""
    return event.optimizer.site is not None and "." not in event.optimizer.cls


def _may_be_unscaled(event: Stepped) -> bool:
    """Say whether the scaler has stepped an optimizer since the backward that may have the same parameters."""
    state, own = event.state, event.optimizer.owners
    others = [key for key in state.protocol.optimizers() if key != event.optimizer.key]
    return any(
        state.protocol.grads(key).stepped_at is not None
        and (not own or not state.known[key].owners or bool(own & state.known[key].owners))
        for key in others
    )


CHECKS = {Stepped: check}
