"""AMP414: gradients of many micro-batches are accumulated in bfloat16."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function
from stages._source.testfiles import is_test_file
from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import casts_of
from stages.logic.masters import trains_a_part
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place

RULE = RuleInfo(
    code="AMP414",
    name="lowp-grad-accumulation",
    severity=Severity.HIGH,
    summary="Gradients of many micro-batches are accumulated in bfloat16.",
    why=(
        "The gradients of bfloat16 parameters are bfloat16, and each micro-batch is rounded into the sum. "
        "Measured over 256 micro-batches: the sum is 10 % off. Keep a float32 gradient, as Megatron's "
        "`main_grad` does, or float32 parameters. How far a sum is off depends on the number of micro-batches, "
        "so the code alone gives a suspicion."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(loader, criterion, accumulate=64):
                model = torch.nn.Linear(8, 8).cuda().to(torch.bfloat16)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for i, (x, y) in enumerate(loader):
                    (criterion(model(x), y) / accumulate).backward()
                    if (i + 1) % accumulate == 0:
                        optimizer.step()  # expect: AMP414
                        optimizer.zero_grad()
        """),
        Bad("""
            import torch

            def train(batches, criterion):
                model = torch.nn.Linear(8, 8).cuda().bfloat16()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for micro in batches:
                    for x, y in micro:
                        (criterion(model(x), y) / len(micro)).backward()
                    optimizer.step()  # expect: AMP414
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def each(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().bfloat16()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for i, (x, y) in enumerate(loader):
                    criterion(model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    if i % 100 == 0:
                        print(i)

            def wide(loader, criterion, accumulate):
                model = torch.nn.Linear(8, 8).cuda()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for i, (x, y) in enumerate(loader):
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y) / accumulate
                    loss.backward()
                    if (i + 1) % accumulate == 0:
                        optimizer.step()
                        optimizer.zero_grad()
        """),
    ),
)
_BOUNDARY = late(r"%|accum|sync|boundary|micro|last", re.I)
_HALF = ("float16", "bfloat16")


def check(event: Stepped) -> Iterator[Problem]:
    """Doubt a step of half parameters for which several turns of a loop computed gradients."""
    optimizer = event.optimizer
    if (event.scaler is not None and event.scaler.enabled) or optimizer.prepared:
        return
    backwards = event.state.protocol.grads(optimizer.key).backwards
    if not backwards or is_test_file(event.place.module.path) or not _adds_up(backwards[-1], event.place):
        return
    for cast in casts_of(event.state, optimizer):
        if cast.dtype in _HALF and not trains_a_part(cast.place.module) and not trains_a_part(event.place.module):
            yield Problem(
                place=event.place,
                message=f"the gradients of several micro-batches were added up in {cast.dtype} before this step",
                remedy="Keep the parameters in float32 under autocast: their gradients are float32 then.",
                related=((cast.place, f"the parameters become {cast.dtype}"), (backwards[-1], "adds to the gradients")),
                suspicion=True,
            )
            return


def _adds_up(backward: Place, step: Place) -> bool:
    """Say whether a backward runs in turns of a loop in which the step does not."""
    if backward.module is not step.module:
        return False
    loop = next((node for node in _around(backward) if isinstance(node, ast.For | ast.While)), None)
    if loop is None:
        return False
    before = set(_around(backward))
    inside = [node for node in _around(step) if node not in before]
    if loop not in _around(step):
        return True
    return any(isinstance(node, ast.If) and _BOUNDARY.search(ast.unparse(node.test)) for node in inside)


def _around(place: Place) -> list[ast.AST]:
    """Return what is around a place in its function, innermost first."""
    found: list[ast.AST] = []
    node = place.module.scopes.parents.get(place.node)
    while node is not None and not isinstance(node, Function):
        found.append(node)
        node = place.module.scopes.parents.get(node)
    return found


CHECKS = {Stepped: check}
