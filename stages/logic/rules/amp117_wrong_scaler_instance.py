"""AMP117: one scaler scales the loss, another one unscales its gradients."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.engine.protocol import Grads
from stages.logic.flags import flags_disagree
from stages.logic.problems import Problem
from stages.logic.rivals import several_optimizers
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.values import Key

RULE = RuleInfo(
    code="AMP117",
    name="wrong-scaler-instance",
    severity=Severity.CRITICAL,
    summary="One scaler scales the loss, and another one unscales and steps.",
    why=(
        "Each scaler has a scale of its own. The gradients are divided by one that they do not carry, and the scaler"
        " whose scale overflowed never hears of it. One that never scaled anything raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(gen, dis, loader):
                opt_g = torch.optim.Adam(gen.parameters())
                opt_d = torch.optim.Adam(dis.parameters())
                scaler_g = torch.amp.GradScaler("cuda")
                scaler_d = torch.amp.GradScaler("cuda")
                for x in loader:
                    opt_d.zero_grad()
                    scaler_d.scale(dis(gen(x).detach()).mean()).backward()
                    scaler_d.step(opt_d)
                    scaler_d.update()
                    opt_g.zero_grad()
                    scaler_d.scale(-dis(gen(x)).mean()).backward()
                    scaler_g.step(opt_g)  # expect: AMP117
                    scaler_g.update()
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, x):
                    scaler = torch.amp.GradScaler("cuda")
                    self.optimizer.zero_grad()
                    scaler.scale(self.model(x).mean()).backward()
                    self.scaler.step(self.optimizer)  # expect: AMP117
                    self.scaler.update()
        """),
        Good("""
            import torch

            def train(gen, dis, loader):
                opt_g = torch.optim.Adam(gen.parameters())
                opt_d = torch.optim.Adam(dis.parameters())
                scaler_g = torch.amp.GradScaler("cuda")
                scaler_d = torch.amp.GradScaler("cuda")
                for x in loader:
                    opt_g.zero_grad()
                    opt_d.zero_grad()
                    scaler_d.scale(dis(gen(x).detach()).mean()).backward()
                    scaler_g.scale(-dis(gen(x)).mean()).backward()
                    scaler_d.step(opt_d)
                    scaler_g.step(opt_g)
                    scaler_d.update()
                    scaler_g.update()
        """),
        Good("""
            import torch

            class Gan:
                def __init__(self, gen, dis, args):
                    self.gen, self.dis, self.args = gen, dis, args
                    self.opt_g = torch.optim.Adam(gen.parameters())
                    self.opt_d = torch.optim.Adam(dis.parameters())
                    self.scaler_g = torch.amp.GradScaler("cuda", enabled=args.amp)
                    self.scaler_d = torch.amp.GradScaler("cuda", enabled=args.amp)

                def step(self, x, step):
                    self.scaler_g.scale(-self.dis(self.gen(x)).mean()).backward()
                    if step > self.args.start:
                        self.scaler_d.scale(self.dis(self.gen(x).detach()).mean()).backward()
                    self.scaler_g.step(self.opt_g)
                    if step > self.args.warmup:
                        self.scaler_d.step(self.opt_d)
                    self.scaler_g.update()
                    self.scaler_d.update()
                    self.opt_g.zero_grad()
                    self.opt_d.zero_grad()
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, x):
                    scaler = self.scaler
                    self.optimizer.zero_grad()
                    scaler.scale(self.model(x).mean()).backward()
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
    ),
)


def check(event: Stepped | Unscaled) -> Iterator[Problem]:
    """Report gradients of one scaler that another one divides."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False:
        return
    held = event.state.protocol.grads(event.optimizer.key)
    if held.status is not Grads.SCALED or held.scaler is None or not _differ(held.scaler, scaler.key):
        return
    site = held.backwards[-1]
    if several_optimizers(site, event.state) and _scales_elsewhere(event):
        return  # each optimizer has a scaler, and this backward may be none of this one's
    yield Problem(
        place=event.place,
        message=f"{scaler.label} divides gradients that another scaler scaled",
        why="It divides by its own scale, which these gradients do not carry.",
        remedy="Scale, unscale, step and update with one scaler.",
        related=((site, "backward of the other scaler's loss"),),
        scaler=scaler,
        suspicion=flags_disagree(event.state) or (scaler.assumed and several_optimizers(site, event.state)),
    )


def _scales_elsewhere(event: Stepped | Unscaled) -> bool:
    """Say whether the file scales some loss with the scaler that unscales here."""
    call = event.call
    if call is None or not isinstance(call.func, ast.Attribute):
        return False
    wanted = ast.dump(ast.Attribute(call.func.value, "scale", ast.Load()))
    calls = (node for node in ast.walk(event.place.module.scopes.root.node) if isinstance(node, ast.Call))
    return any(isinstance(node.func, ast.Attribute) and ast.dump(node.func) == wanted for node in calls)


def _differ(first: Key, second: Key) -> bool:
    """Say whether two scalers are two: both made in sight, or two attributes or parameters of the same thing."""
    if first == second:
        return False
    if first[0] == second[0] == "scaler":
        return True
    return first[0] == second[0] and first[0] in ("attribute", "parameter") and first[1] == second[1]


CHECKS = {Stepped: check, Unscaled: check}
