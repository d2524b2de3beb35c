"""AMP113: a path leaves between unscale_ and update, so that the next unscale_ raises."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.logic.again import met_again
from stages.logic.engine.events import FunctionLeft, Stepped, Unscaled
from stages.logic.engine.protocol import Turn
from stages.logic.exits import detour, moves_scaler, plain_step_since
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place

RULE = RuleInfo(
    code="AMP113",
    name="early-exit-after-unscale",
    severity=Severity.HIGH,
    summary="A path goes around step and update after unscale_, and the next unscale_ raises.",
    why=(
        "The scaler stays UNSCALED for this optimizer until update(). The next batch's unscale_ raises `RuntimeError:"
        " unscale_() has already been called`, and only when the rare branch ran: hours into the training."
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
                    scaler.unscale_(optimizer)  # expect: AMP113
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if not torch.isfinite(norm):
                        continue
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, limit):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)  # expect: AMP113
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if norm < limit:
                        scaler.step(optimizer)
                        scaler.update()
                    optimizer.zero_grad(set_to_none=True)
        """),
        Bad("""
            import math
            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def training_step(self, x):
                    self.optimizer.zero_grad()
                    self.scaler.scale(self.model(x).mean()).backward()
                    self.scaler.unscale_(self.optimizer)  # expect: AMP113
                    norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    if math.isnan(norm):
                        return None
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
                    return norm
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    if not torch.isfinite(loss):
                        continue
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if not torch.isfinite(norm):
                        scaler.update()
                        continue
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import sys
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
                    if torch.isnan(norm):
                        sys.exit("diverged")
                    if norm > 1000:
                        raise ValueError("diverged")
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, model, optimizer, scaler):
                    self.model, self.optimizer, self.scaler = model, optimizer, scaler

                def clip(self):
                    self.scaler.unscale_(self.optimizer)
                    norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    if norm > 10:
                        return None  # whoever calls this steps and updates
                    return norm
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, scaler):
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
    ),
)
_REMEDY = "Call step() and update() on every path: step() already skips a batch whose gradients are not finite."


def check_again(event: Unscaled | Stepped) -> Iterator[Problem]:
    """Report the unscale_ that an exit left without an update, where the next one meets it."""
    found = met_again(event)
    if found is None or found.why != "exit" or event.scaler is None or found.test is None:
        return
    yield Problem(
        place=found.first,
        message=f"A path around {event.scaler.label}.update() leaves {event.optimizer.label} unscaled",
        why="The next unscale_ on it raises, as the scaler was not updated in between.",
        remedy=_REMEDY,
        related=((found.test.place, "the step is skipped here"),),
        scaler=event.scaler,
        suspicion=not found.certain or found.test.kind == "other",
    )


def check_left(event: FunctionLeft) -> Iterator[Problem]:
    """Report a step function that returns early, though it updates the scaler where it does not."""
    if event.how != "return":
        return
    protocol = event.state.protocol
    for (scaler, optimizer), (turn, at) in protocol.turns:
        if turn is not Turn.UNSCALED or at is None or plain_step_since(event.state, at):
            continue
        test = detour(event.state, at)
        around = _function(at)
        if test is None or test.kind != "health" or around is None or _ends_a_loop(at):
            continue
        inside = [node for node in ast.walk(around) if moves_scaler(node, "update")]
        if inside and not _made_in(scaler, around) and any(map(_returns, test.statement.body)):
            known = event.state.known.get(optimizer)
            yield Problem(
                place=at,
                message=f"An early return leaves {known.label if known else 'the optimizer'} unscaled",
                why="The next call's unscale_ raises, as the scaler was not updated in between.",
                remedy=_REMEDY,
                related=((test.place, "returns without update()"),),
            )


def _returns(node: ast.stmt) -> bool:
    return isinstance(node, ast.Return)


def _function(place: Place) -> ast.AST | None:
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, Function):
        node = place.module.scopes.parents.get(node)
    return node


def _ends_a_loop(place: Place) -> bool:
    """Say whether the place is inside a loop: a return from there ends the training."""
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, Function):
        if isinstance(node, ast.For | ast.While):
            return True
        node = place.module.scopes.parents.get(node)
    return False


def _made_in(scaler: tuple[object, ...], function: ast.AST) -> bool:
    """Say whether a scaler is made in the function, and so gone when it returns."""
    return any(part is node for part in scaler for node in ast.walk(function))


CHECKS = {Unscaled: check_again, Stepped: check_again, FunctionLeft: check_left}
