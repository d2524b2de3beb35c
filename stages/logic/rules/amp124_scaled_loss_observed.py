"""AMP124: a loss is logged after it was multiplied by the loss scale."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.testfiles import is_test_file
from stages.logic.engine.events import Called
from stages.logic.engine.values import Tensor
from stages.logic.gradients import divides_by_scale
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP124",
    name="scaled-loss-observed",
    severity=Severity.LOW,
    summary="A loss is logged after it was multiplied by the loss scale.",
    why="The number that is shown is 65536 times the loss, and halves or doubles when the scale does.",
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                losses = []
                for batch in loader:
                    optimizer.zero_grad()
                    loss = model(batch)
                    loss = scaler.scale(loss)
                    loss.backward()
                    scaler.step(optimizer)
                    scaler.update()
                    losses.append(loss.item())  # expect: AMP124
                return losses
        """),
        Good("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                total = 0.0
                for batch in loader:
                    optimizer.zero_grad()
                    loss = model(batch)
                    scaled = scaler.scale(loss)
                    scaled.backward()
                    scaler.step(optimizer)
                    scaler.update()
                    total += loss.item()
                return total
        """),
        Good("""
            import torch

            def train(model, batch, optimizer):
                off = torch.amp.GradScaler("cuda", enabled=False)
                loss = off.scale(model(batch))
                loss.backward()
                off.step(optimizer)
                print(loss.item())

            def shown(model, batch, scaler):
                loss = scaler.scale(model(batch))
                loss.backward()
                return loss.item() / scaler.get_scale()
        """),
    ),
)

_SHOWS = late(r"print|float|.*\.(?:add_scalar|log|log_dict|log_metrics|log_scalar|info)")
_AS_NUMBER = frozenset(["item", "cpu", "numpy", "tolist"])


def check(event: Called) -> Iterator[Problem]:
    """Report a scaled loss that is made a number of, or shown."""
    if not _observes(event) or divides_by_scale(event.place) or is_test_file(event.place.module.path):
        return  # a test looks at a scaled loss because it wants to see the scale
    yield Problem(
        place=event.place,
        message="the loss that is shown here carries the loss scale",
        why="It is 65536 times the loss at the start of a run, and changes with the scale.",
        remedy="Keep the loss under its own name: `scaler.scale(loss).backward()`, and show `loss`.",
    )


def _observes(event: Called) -> bool:
    if isinstance(event.receiver, Tensor):
        return event.name[1:] in _AS_NUMBER or (event.name == ".detach" and _becomes_number(event))
    return any(isinstance(value, Tensor) for value in event.args) and _SHOWS.fullmatch(event.name) is not None


def _becomes_number(event: Called) -> bool:
    around = event.place.module.scopes.parents.get(event.place.node)
    return isinstance(around, ast.Attribute) and around.attr in _AS_NUMBER


CHECKS = {Called: check}
