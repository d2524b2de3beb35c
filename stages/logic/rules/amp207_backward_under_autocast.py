"""AMP207: backward runs inside the autocast context of the forward."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages.logic.engine.events import AutocastLeft
from stages.logic.engine.values import Autocast
from stages.logic.masters import are_all_plain
from stages.logic.matrix_optimizers import computes_with_matrices
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place
    from stages.logic.engine.state import Active

RULE = RuleInfo(
    code="AMP207",
    name="backward-under-autocast",
    severity=Severity.MEDIUM,
    summary="Backward runs inside the autocast context of the forward.",
    why=(
        "Every operation of a backward already runs in the type its forward chose. Under autocast, custom functions,"
        " double backward and hooks are cast once more, so that regions kept in fp32 on purpose get half gradients."
        " PyTorch advises against it; nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for images, labels in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(images), labels)
                        scaler.scale(loss).backward()  # expect: AMP207
                        scaler.step(optimizer)
                        scaler.update()
        """),
        Bad("""
            import torch

            class Learner:
                def __init__(self, network, amp):
                    self.network = network
                    self.amp = amp
                    self.optimizer = torch.optim.Adam(network.parameters())

                def learn(self, states, targets):
                    with torch.autocast(device_type="cuda", enabled=self.amp):
                        self.optimizer.zero_grad()
                        loss = (self.network(states) - targets).pow(2).mean()
                        self.apply(loss)

                def apply(self, loss):
                    loss.backward()  # expect: AMP207
                    self.optimizer.step()
        """),
        Bad("""
            import torch

            @torch.autocast("cuda", dtype=torch.bfloat16)
            def step(model, batch, parts):
                for part in batch.chunk(parts):
                    loss = model(part).mean() / parts
                    loss.backward()  # expect: AMP207
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, every):  # that is AMP201
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    for index, batch in enumerate(loader):
                        model(batch).mean().backward()
                        if index % every == 0:
                            optimizer.step()
                            optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for images, labels in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(images), labels)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, batch, optimizer):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = model(batch).mean()
                    with torch.autocast("cuda", enabled=False):
                        loss.backward()
                optimizer.step()
                with torch.autocast("cuda", enabled=False):
                    model(batch).mean().backward()
        """),
        Good("""
            import torch
            from torch import nn

            def train(batch, lr):  # nothing but torch's own layers: bitwise the same gradients
                model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
                optimizer = torch.optim.SGD(model.parameters(), lr=lr)
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = model(batch).mean()
                    loss.backward()
                optimizer.step()

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(8, 8)
                    self.head = nn.Linear(8, 2)

                def forward(self, x):
                    return self.head(self.body(x).relu())

            def accumulate(parts, lr):
                net = Net()
                optimizer = torch.optim.SGD(net.parameters(), lr=lr)
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    for part in parts:
                        (net(part).mean() / len(parts)).backward()
                optimizer.step()
        """),
    ),
)


def check(event: AutocastLeft) -> Iterator[Problem]:
    """Report the first backward that ran in the context that is left, unless a worse rule reports the context."""
    active = event.active
    if not active.backwards or _worse(active) or active is not _first_on(event):
        return
    if active.stepped_at is None and are_all_plain(event.state):
        return
    if active.stepped_at and any(computes_with_matrices(optimizer) for optimizer in event.state.known.values()):
        return
    yield Problem(
        place=active.backwards[0],
        message="backward runs inside the autocast context of the forward",
        why="It needs no autocast: custom functions, hooks and regions kept in fp32 are cast to half once more there.",
        remedy="Dedent backward, and all that follows it, out of the `with` block; keep only forward and loss inside.",
        related=((active.place, "autocast is entered"),),
    )


def _first_on(event: AutocastLeft) -> Active | None:
    """Return the outermost context that is on: one report for those inside of it."""
    contexts = event.state.contexts
    return next((one for one in contexts if isinstance(one.context, Autocast) and one.context.enabled), None)


def _worse(active: Active) -> bool:
    """Say whether whole training steps repeat inside: then stale weights are the finding.

    On a path where a test left the step out, the loop or the region still holds it.
    """
    if "backward" not in active.looped:
        return False
    return "step" in active.looped or any(_holds_a_step(place) for place in (active.place, active.backwards[0]))


def _holds_a_step(place: Place) -> bool:
    """Say whether an optimizer steps in a loop that is around a place, or inside of the region that it enters."""
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, Function):
        around = node
        node = place.module.scopes.parents.get(node)
        if isinstance(around, ast.With | ast.For | ast.While) and _steps(around):
            return True
    return False


def _steps(node: ast.AST) -> bool:
    loops = [part for part in ast.walk(node) if isinstance(part, ast.For | ast.While)]
    return any(
        isinstance(part, ast.Attribute)
        and part.attr == "step"
        and vocabulary.called_like_optimizer(last_name(part.value))
        for loop in loops
        for part in ast.walk(loop)
    )


CHECKS = {AutocastLeft: check}
