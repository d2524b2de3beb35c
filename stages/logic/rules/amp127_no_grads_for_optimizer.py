"""AMP127: the scaler steps an optimizer none of whose parameters has a gradient."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.testfiles import is_test_file
from stages.logic.engine.events import Stepped
from stages.logic.engine.protocol import Grads
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place

RULE = RuleInfo(
    code="AMP127",
    name="no-grads-for-optimizer",
    severity=Severity.MEDIUM,
    summary="The scaler steps an optimizer none of whose parameters has a gradient.",
    why=(
        "`scaler.step` raises `AssertionError: No inf checks were recorded for this optimizer.` where nothing has a "
        "gradient: the branch that ran backward was not taken, or the parameters are frozen. `zero_grad` leaves "
        "none behind."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, criterion, warmup):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    if i > warmup:
                        scaler.scale(loss).backward()
                    scaler.step(optimizer)  # expect: AMP127
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, criterion, warmup):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    if i > warmup:
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()

            def micro(model, loader, criterion):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    optimizer.zero_grad()
                    for x, y in batch:
                        scaler.scale(criterion(model(x), y)).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def zeros(model, loader, criterion, warmup):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    optimizer.zero_grad(set_to_none=False)
                    if i > warmup:
                        scaler.scale(criterion(model(x), y)).backward()
                    scaler.step(optimizer)
                    scaler.update()

            def elsewhere(model, loader, engine):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    optimizer.zero_grad()
                    engine.run_backward(model(x))
                    scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report a step through the scaler on a path on which nothing ran backward since the gradients were cleared."""
    scaler, optimizer = event.scaler, event.optimizer
    if scaler is None or scaler.enabled is not True or scaler.assumed or optimizer.prepared or optimizer.fused:
        return
    if event.state.protocol.grads(optimizer.key).status is not Grads.CLEAN or is_test_file(event.place.module.path):
        return
    branch = _only_backward(event.place)
    if branch is not None:
        yield Problem(
            place=event.place,
            message=f"{optimizer.label} may have no gradient here: the branch that runs backward can be left out",
            why="The scaler raises then: `No inf checks were recorded for this optimizer.`",
            remedy="Step and update in the branch that runs backward.",
            related=((branch, "the only backward before it stands in a branch"),),
            scaler=scaler,
        )


def _only_backward(step: Place) -> Place | None:
    """Return the one backward of the step's own function, where it stands under an `if` and nothing else hides one.

    A loop may run zero times on a path; nobody means that one.
    """
    function = _function(step)
    if not isinstance(function, Function):
        return None
    text = ast.unparse(function)
    if "set_to_none" in text:
        return None
    calls = [node for node in own_nodes(function.body) if isinstance(node, ast.Call) and _may_run(node)]
    if len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute) or calls[0].func.attr != "backward":
        return None
    around = _around(step, calls[0], function)
    shared = _around(step, step.node, function)
    between = [node for node in around if node not in shared]
    if any(isinstance(node, ast.For | ast.While | ast.Try) for node in between):
        return None
    if not any(isinstance(node, ast.If) for node in between):
        return None
    return type(step)(step.module, calls[0])


def _may_run(call: ast.Call) -> bool:
    """Say whether a call may run backward, by its name."""
    name = last_name(call.func).lower()
    return any(word in name for word in ("backward", "grad_fn", "train_step", "training_step", "optimize"))


def _function(place: Place) -> ast.AST | None:
    node = place.module.scopes.parents.get(place.node)
    while node is not None and not isinstance(node, Function):
        node = place.module.scopes.parents.get(node)
    return node


def _around(place: Place, node: ast.AST, function: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    around = place.module.scopes.parents.get(node)
    while around is not None and around is not function:
        found.append(around)
        around = place.module.scopes.parents.get(around)
    return found


CHECKS = {Stepped: check}
