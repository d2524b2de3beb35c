"""AMP205: a generator yields inside an autocast context, so that its consumer runs under it as well."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.regions import Region
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP205",
    name="autocast-leak-generator",
    severity=Severity.HIGH,
    summary="A generator yields inside an autocast context, so that its consumer runs under it as well.",
    why=(
        "Autocast is a state of the thread, and a generator that is suspended has not left its context: the loop over"
        " it, with losses, backward and optimizer, runs in half and with the generator's cache of weights until the"
        " generator is closed. Nothing says so."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def predictions(model, loader):
                with torch.autocast("cuda", dtype=torch.float16):
                    for batch in loader:
                        yield model(batch)  # expect: AMP205

            def train(model, loader, optimizer, criterion):
                for out in predictions(model, loader):
                    criterion(out).backward()
                    optimizer.step()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            class Source:
                def batches(self, amp):
                    for x in self.data:
                        with autocast(enabled=amp):
                            features = self.encoder(x)
                            yield features  # expect: AMP205
        """),
        Good("""
            from contextlib import contextmanager
            import pytest
            import torch

            @contextmanager
            def precision(amp):
                with torch.autocast("cuda", enabled=amp):
                    yield

            @pytest.fixture
            def half():
                with torch.autocast("cpu"):
                    yield

            def predictions(model, loader):
                for batch in loader:
                    with torch.autocast("cuda"):
                        out = model(batch)
                        squares = (value * value for value in out)
                        total = sum(squares)
                    yield out, total
        """),
    ),
)
_GENERATORS_OF_CONTEXTS = ("contextmanager", "asynccontextmanager", "fixture", "hookimpl", "yield_fixture")


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report the first yield of each such region."""
    regions = Regions(view)
    for region in regions.all():
        function = region.scope.node
        if region.off or not isinstance(region.node, ast.With) or not isinstance(function, Function):
            continue
        if any(last_name(_called(item)) in _GENERATORS_OF_CONTEXTS for item in function.decorator_list):
            continue
        yields = [node for node in own_nodes(region.node.body) if isinstance(node, ast.Yield | ast.YieldFrom)]
        yields = [node for node in yields if regions.around(node) is region]
        if yields:
            yield _problem(view, region, min(yields, key=lambda node: node.lineno))


def _problem(view: View, region: Region, node: ast.expr) -> Problem:
    return Problem(
        place=view.place(node),
        message="this generator is suspended inside autocast, so whoever iterates it runs under autocast too",
        why="The state belongs to the thread: the consumer's code is cast until the generator is closed.",
        remedy="Leave the `with` block before `yield`, and let the consumer enter its own.",
        related=((view.place(region.call), "autocast is entered"),),
        severity=Severity.MEDIUM if _only_predicts(view, node) else None,
    )


def _only_predicts(view: View, suspended: ast.expr) -> bool:
    """Say whether the generator wants no gradient: then its consumer does not train either."""
    node: ast.AST | None = suspended
    while node is not None and not isinstance(node, Function):
        if isinstance(node, ast.With) and any(_wants_no_grad(item.context_expr) for item in node.items):
            return True
        node = view.parent(node)
    return isinstance(node, Function) and any(map(_wants_no_grad, node.decorator_list))


def _wants_no_grad(node: ast.expr) -> bool:
    return last_name(_called(node)) in ("no_grad", "inference_mode")


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node
