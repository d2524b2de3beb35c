"""AMP108: the scaler steps again without an update since its last step."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.logic.again import met_again
from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.exits import detour, moves_scaler
from stages.logic.flags import flags_disagree
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place

RULE = RuleInfo(
    code="AMP108",
    name="missing-scaler-update",
    severity=Severity.HIGH,
    summary="The scaler steps with an optimizer again, without an update in between.",
    why="The second step raises `RuntimeError: step() has already been called since the last update()`.",
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
                    scaler.step(optimizer)  # expect: AMP108
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def apply(self):
                    self.scaler.unscale_(self.optimizer)
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    self.scaler.step(self.optimizer)  # expect: AMP108

                def run(self, loader):
                    for x in loader:
                        self.optimizer.zero_grad()
                        self.scaler.scale(self.model(x).mean()).backward()
                        self.apply()
        """),
        Bad("""
            import torch

            def train(gen, critic, loader, opt_gen, opt_critic, g_scaler, d_scaler):
                for x in loader:
                    opt_critic.zero_grad()
                    d_scaler.scale(critic(gen(x).detach()).mean()).backward()
                    d_scaler.step(opt_critic)  # expect: AMP108
                    opt_gen.zero_grad()
                    g_scaler.scale(-critic(gen(x)).mean()).backward()
                    g_scaler.step(opt_gen)
                    g_scaler.update()
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

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizers = {"all": torch.optim.SGD(model.parameters(), lr=0.1)}
                    self.scaler = torch.amp.GradScaler("cuda")

                def apply(self):
                    for optimizer in self.optimizers.values():
                        self.scaler.step(optimizer)

                def run(self, loader):
                    for x in loader:
                        self.scaler.scale(self.model(x).mean()).backward()
                        self.apply()
                        self.scaler.update()
        """),
        Good("""
            def step(scaler, loss, optimizer):
                scaler.scale(loss).backward()
                scaler.step(optimizer)  # the caller updates, after all optimizers stepped
        """),
        Good("""
            import torch

            def gan(gen, dis, loader, opt_g, opt_d):
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    opt_d.zero_grad()
                    scaler.scale(dis(gen(x).detach()).mean()).backward()
                    scaler.step(opt_d)
                    opt_g.zero_grad()
                    scaler.scale(-dis(gen(x)).mean()).backward()
                    scaler.step(opt_g)
                    scaler.update()
        """),
    ),
)


def check(event: Stepped | Unscaled) -> Iterator[Problem]:
    """Report the step after which the scaler came back to the same optimizer without an update."""
    found = met_again(event)
    if found is None or found.why != "no update" or event.scaler is None:
        return
    scaler, label = event.scaler.label, event.optimizer.label
    yield Problem(
        place=found.first,
        message=f"{scaler}.step({label}) is not followed by {scaler}.update() before {label} is used again",
        why="The next unscale_ or step of this optimizer raises RuntimeError.",
        remedy=f"Call `{scaler}.update()` once, after the last `{scaler}.step(...)` of each iteration.",
        related=((event.place, "comes to the same optimizer again"),) if event.place != found.first else (),
        scaler=event.scaler,
        suspicion=flags_disagree(event.state)
        or detour(event.state, found.first) is not None
        or _updates_elsewhere(found.first),
    )


def _updates_elsewhere(place: Place) -> bool:
    """Say whether some code of the file updates a scaler after all: a hook, which is called out of sight.

    Not the function itself, where it has several scalers: what it does to the others it does in sight.
    """
    root: ast.AST = place.module.scopes.root.node
    here = {node for node in ast.walk(_function_around(place)) if _name(node) != _name(place.node)}
    return any(moves_scaler(node, "update") and node not in here for node in ast.walk(root))


def _function_around(place: Place) -> ast.AST:
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, Function):
        node = place.module.scopes.parents.get(node)
    return node if node is not None else place.node


def _name(node: ast.AST) -> str:
    """Return what a method is called of, "" for what is no call of a method."""
    return ast.unparse(node.func.value) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


CHECKS = {Stepped: check, Unscaled: check}
