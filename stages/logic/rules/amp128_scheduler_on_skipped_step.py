"""AMP128: a scheduler steps in every turn, also in those in which the scaler skipped the optimizer's step."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.testfiles import is_test_file
from stages.logic.engine.events import ScheduleStepped
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place

RULE = RuleInfo(
    code="AMP128",
    name="scheduler-on-skipped-step",
    severity=Severity.MEDIUM,
    summary="A scheduler steps in every turn, also in those in which the scaler skipped the optimizer's step.",
    why=(
        "The scaler skips a step when a gradient overflows, which it does several times at the start of every run."
        " The schedule moves on all the same: warm-up is cut short. torch warns only if the very first step is skipped,"
        " and never with a fused optimizer."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=1000)
                for batch in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda"):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    scheduler.step()  # expect: AMP128
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model, optimizer, scheduler):
                    self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
                    self.scaler = torch.amp.GradScaler("cuda")

                def fit(self, loader, epochs):
                    for epoch in range(epochs):
                        for index, batch in enumerate(loader):
                            self.scaler.scale(self.model(batch)).backward()
                            if index % 4 == 3:
                                self.update()

                def update(self):
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
                    self.optimizer.zero_grad()
                    if self.scheduler is not None:
                        self.scheduler.step()  # expect: AMP128
        """),
        Bad("""
            import torch
            from schedules import Schedules

            class Trainer:
                def __init__(self, model, optimizer):
                    self.model, self.optimizer = model, optimizer
                    self.schedules = Schedules(optimizer)
                    self.scaler = torch.amp.GradScaler("cuda")

                def train_step(self, batch):
                    self.optimizer.zero_grad()
                    self.scaler.scale(self.model(batch)).backward()
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
                    self.schedules.advance()  # expect: AMP128
            # --- schedules.py
            import torch

            class Schedules:
                def __init__(self, optimizer):
                    self.scheduler = torch.optim.lr_scheduler.LinearLR(optimizer)

                def advance(self):
                    self.scheduler.step()
        """),
        Bad("""
            import torch

            def train(models, loaders, optimizers, schedulers, scaler, steps):
                for _ in range(steps):
                    for index in range(len(models)):
                        optimizer, scheduler = optimizers[index], schedulers[index]
                        optimizer.zero_grad()
                        scaler.scale(models[index](next(loaders[index]))).backward()
                        scaler.step(optimizer)
                        scaler.update()
                    scheduler.step()  # expect: AMP128
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, scheduler):
                scaler = torch.amp.GradScaler("cuda")
                for epoch in range(10):
                    for batch in loader:
                        optimizer.zero_grad()
                        scaler.scale(model(batch)).backward()
                        scaler.step(optimizer)
                        scaler.update()
                    scheduler.step()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, scheduler):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    before = scaler.get_scale()
                    scaler.step(optimizer)
                    scaler.update()
                    skipped = scaler.get_scale() < before
                    if not skipped:
                        scheduler.step()
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, model, optimizer, scheduler, amp):
                    self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
                    self.scaler = torch.amp.GradScaler("cuda", enabled=False)

                def run(self, loader):
                    for epoch in range(10):
                        self.epoch(loader)
                        self.scheduler.step()

                def epoch(self, loader):
                    scaler = torch.amp.GradScaler("cuda")
                    for step, batch in enumerate(loader):
                        scaler.scale(self.model(batch)).backward()
                        scaler.step(self.optimizer)
                        scaler.update()
                        if (step + 1) % len(loader) == 0:
                            self.scheduler.step()

                def plain(self, loader):
                    for batch in loader:
                        self.scaler.scale(self.model(batch)).backward()
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
                        self.scheduler.step()
        """),
    ),
)

_SKIP = late(r"get_scale|skip|overflow|found_inf|finite|\bscale\b|scale_(?:before|after)|(?:old|prev|new|last)_?scale")
_RARELY = late(r"%|epoch|last|plateau|metric|val_|eval", re.I)


def check(event: ScheduleStepped) -> Iterator[Problem]:
    """Report a scheduler's step in the same turn as a step through the scaler, unless the code asks first."""
    turn = event.state.round
    if turn is None or turn.stepped_at is None or event.scheduler.prepared or is_test_file(event.place.module.path):
        return
    if event.call is None or event.call.args or event.call.keywords:
        return
    if event.loops[: len(turn.loops)] != turn.loops or _asked(event) or _is_rare(event.place, turn.stepped_at):
        return
    yield Problem(
        place=_decided_at(event),
        message=f"{event.scheduler.label}.step() also counts the steps that the scaler skips",
        why="After an overflow the scaler leaves the weights as they are and halves its scale; the schedule moves on.",
        remedy=(
            "Keep `scale = scaler.get_scale()` from before the step, and step the scheduler only"
            " `if scaler.get_scale() >= scale`."
        ),
        related=((turn.stepped_at, "the scaler steps the optimizer, or skips it"),),
    )


def _decided_at(event: ScheduleStepped) -> Place:
    """Return where the code that updates the scaler asks for the step: a helper of another file only does it."""
    updating = {place.module for _, place in event.state.protocol.updates}
    if not updating or event.place.module in updating:
        return event.place
    return next((site for site in reversed(event.through) if site.module in updating), event.place)


def _asked(event: ScheduleStepped) -> bool:
    """Say whether a test on the path, or around the call, asks whether the step was skipped."""
    if any(_SKIP.search(place.module.code(place.line)) for place, _ in event.state.decisions):
        return True
    return any(_SKIP.search(ast.unparse(test)) for test in _tests(event.place))


def _is_rare(place: Place, stepped_at: Place) -> bool:
    """Say whether the call stands under a condition, not shared with the step, that is not true in every turn."""
    shared = {id(test) for test in _tests(stepped_at)}
    return any(_RARELY.search(ast.unparse(test)) for test in _tests(place) if id(test) not in shared)


def _tests(place: Place) -> Iterator[ast.expr]:
    """Yield the tests of the `if` statements around a place, within its function."""
    parents = place.module.scopes.parents
    inner, around = place.node, parents.get(place.node)
    while around is not None and not isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
        if isinstance(around, ast.If) and inner is not around.test:
            yield around.test
        inner, around = around, parents.get(around)


CHECKS = {ScheduleStepped: check}
