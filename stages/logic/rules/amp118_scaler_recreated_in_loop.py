"""AMP118: every step or epoch makes a new scaler, which starts from the initial scale again."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function
from stages.logic.engine.events import FunctionLeft, Stepped
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.state import State

RULE = RuleInfo(
    code="AMP118",
    name="scaler-recreated-in-loop",
    severity=Severity.CRITICAL,
    summary="A scaler is made anew for every step or epoch of one training.",
    why=(
        "The new scaler starts at 65536 and forgets every overflow that lowered the scale. Where the gradients need a"
        " smaller one, each step overflows, is skipped, and nothing is ever trained."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                for x, y in loader:
                    scaler = torch.amp.GradScaler("cuda")  # expect: AMP118
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train_step(model, batch, optimizer):
                scaler = torch.amp.GradScaler("cuda")  # expect: AMP118
                optimizer.zero_grad()
                with torch.autocast("cuda", dtype=torch.float16):
                    loss = model(batch).mean()
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()

            def train(model, loader, epochs):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for epoch in range(epochs):
                    for batch in loader:
                        train_step(model, batch, optimizer)
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

                def training_step(self, batch):
                    scaler = torch.cuda.amp.GradScaler()  # expect: AMP118
                    self.optimizer.zero_grad()
                    scaler.scale(self.model(batch).mean()).backward()
                    scaler.step(self.optimizer)
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
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            from functools import cached_property

            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

                @cached_property
                def scaler(self):
                    return torch.amp.GradScaler("cuda")

                def run(self, loader):
                    for x in loader:
                        self.scaler.scale(self.model(x).mean()).backward()
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
        """),
        Good("""
            import torch

            def cross_validate(make_model, folds):
                for loader in folds:
                    model = make_model()
                    scaler = torch.amp.GradScaler("cuda")
                    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    for x in loader:
                        optimizer.zero_grad()
                        scaler.scale(model(x).mean()).backward()
                        scaler.step(optimizer)
                        scaler.update()
        """),
        Good("""
            import torch

            def test_one_step_of_amp():
                model = torch.nn.Linear(2, 2)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                scaler.scale(model(torch.ones(2)).mean()).backward()
                scaler.step(optimizer)
                scaler.update()
        """),
        Good("""
            import torch

            def run(model, optimizer, loader):
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(x).mean()).backward()
                    scaler.step(optimizer)
                    scaler.update()

            def search(make_model, make_optimizer, loader, trials):
                for trial in range(trials):
                    model = make_model(trial)
                    run(model, make_optimizer(model), loader)
        """),
    ),
)
_STEP_NAME = late(r"(?:^|_)(?:step|iter|iteration|batch|update|optimize)(?:_|$)|one_step", re.I)


def check_step(event: Stepped) -> Iterator[Problem]:
    """Report the scaler that steps an optimizer which an earlier scaler from the same place stepped."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False or not isinstance(scaler.site, ast.Call):
        return
    if (scaler.key, event.optimizer.key) not in event.state.protocol.orphaned:
        return
    made = _made_at(event.state, event.place, scaler.site)
    if made is None:
        return
    per_epoch = _loop_between(made, event.place)
    yield Problem(
        place=made,
        message=f"A new scaler is made for every {'epoch' if per_epoch else 'step'} of {event.optimizer.label}",
        why="It starts from the initial scale again, and skips steps until it has found the right one.",
        remedy="Make one scaler for the whole training, outside of the loop, and pass it in.",
        related=((event.place, "stepped by each of them"),),
        severity=Severity.MEDIUM if per_epoch else None,
    )


def check_function(event: FunctionLeft) -> Iterator[Problem]:
    """Report a function that takes one step with a scaler of its own and an optimizer that outlives it."""
    function = event.place
    while isinstance(function, Place) and not isinstance(function.node, Function):
        parent = function.module.scopes.parents.get(function.node)
        if parent is None:
            return
        function = Place(function.module, parent)
    node = function.node
    if not isinstance(node, Function) or not _STEP_NAME.search(node.name) or node.name.startswith("test"):
        return
    inside = set(ast.walk(node))
    for scaler, optimizer in event.state.protocol.served:
        known = event.state.known.get(optimizer)
        site = next((part for part in scaler if isinstance(part, ast.Call)), None)
        if site is None or site not in inside or known is None or known.site in inside or scaler[0] != "scaler":
            continue
        if _in_loop(Place(function.module, site)) or any(isinstance(item, ast.For | ast.While) for item in inside):
            continue
        if not _local(site, function.module.scopes.parents):
            continue
        yield Problem(
            place=Place(function.module, site),
            message=f"{node.name}() makes a new scaler each time it is called",
            why="It starts from the initial scale again, and skips steps until it has found the right one.",
            remedy="Make one scaler for the whole training and pass it in.",
        )


def _made_at(state: State, place: Place, site: ast.Call) -> Place | None:
    """Return where the scaler is made, where that is in the same file or that of a function on the path."""
    step = state.trail
    modules = [place.module]
    while step is not None:
        modules.append(step.place.module)
        step = step.before
    return next((Place(module, site) for module in modules if site in module.scopes.parents), None)


def _loop_between(made: Place, step: Place) -> bool:
    """Say whether the step runs in a loop of the function that makes the scaler, inside of which that one is not."""
    node: ast.AST | None = step.node
    while node is not None and not isinstance(node, Function):
        if isinstance(node, ast.For | ast.While):
            return not made.inside(node)
        node = step.module.scopes.parents.get(node)
    return _loops_after(made)


def _loops_after(made: Place) -> bool:
    """Say whether the function that makes the scaler goes through a loop afterwards."""
    node: ast.AST | None = made.node
    while node is not None and not isinstance(node, Function):
        node = made.module.scopes.parents.get(node)
    loops = [item for item in ast.walk(node) if isinstance(item, ast.For | ast.While)] if node is not None else []
    return any(loop.lineno > made.line for loop in loops)


def _in_loop(place: Place) -> bool:
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, Function):
        if isinstance(node, ast.For | ast.While):
            return True
        node = place.module.scopes.parents.get(node)
    return False


def _local(site: ast.Call, parents: dict[ast.AST, ast.AST]) -> bool:
    """Say whether the new scaler is bound to a plain name, which is gone when the function returns."""
    match parents.get(site):
        case ast.Assign(targets=[ast.Name()]):
            return True
    return False


CHECKS = {Stepped: check_step, FunctionLeft: check_function}
