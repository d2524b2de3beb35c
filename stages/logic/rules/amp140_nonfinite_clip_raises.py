"""AMP140: clipping raises on the overflow that the scaler would have skipped."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.logic.engine.events import Clipped
from stages.logic.engine.protocol import Turn
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place

RULE = RuleInfo(
    code="AMP140",
    name="nonfinite-clip-raises",
    severity=Severity.HIGH,
    summary="`error_if_nonfinite=True` makes a recoverable overflow end the training.",
    why=(
        "Overflows are how the scaler finds its scale: the first steps overflow in every healthy run, and again"
        " whenever the scale grew too far. step() skips them, but clipping raises before it comes to that."
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
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)  # expect: AMP140
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
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=False)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def step(model, loss, optimizer, scaler):
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                strict = False if scaler.is_enabled() else True
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=strict)
                scaler.step(optimizer)
                scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, amp):
                scaler = torch.amp.GradScaler("cuda", enabled=amp)
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=not amp)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    scaler.scale(criterion(model(x), y)).backward()
                    scaler.unscale_(optimizer)
                    try:
                        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
                    except RuntimeError:
                        print("overflow")
                    scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)


def check(event: Clipped) -> Iterator[Problem]:
    """Report clipping that raises, on gradients that a scaler has unscaled and not stepped with yet."""
    if not event.error_if_nonfinite or event.by is not None or _caught(event.place):
        return
    protocol, known = event.state.protocol, event.state.known
    for (_, optimizer), (turn, at) in protocol.turns:
        owners = known[optimizer].owners if optimizer in known else frozenset()
        if turn is not Turn.UNSCALED or (owners and event.params.of and not owners & event.params.of):
            continue
        yield Problem(
            place=event.place,
            message=f"{event.how} raises on an overflow that the scaler would have skipped",
            why="With a scaler an overflow is no fault: step() leaves that batch out and update() lowers the scale.",
            remedy="Drop `error_if_nonfinite=True`.",
            related=((at, "unscaled here"),) if at is not None else (),
        )
        return


def _caught(place: Place) -> bool:
    """Say whether something around the call handles what it raises."""
    node, parents = place.node, place.module.scopes.parents
    while node in parents and not isinstance(node, Function):
        around = parents[node]
        if isinstance(around, ast.Try) and around.handlers and node in around.body:
            return True
        node = around
    return False


CHECKS = {Clipped: check}
