"""MOD303: each training step starts its data loader anew and takes the first batch."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.blocks import loops_around
from stages.logic.problems import Problem
from stages.logic.training_code import backward_calls
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD303",
    name="loader-started-in-each-step",
    severity=Severity.LOW,
    summary="Each training step starts its data loader anew and takes the first batch.",
    why=(
        "`next(iter(loader))` makes a new iterator: worker processes start and end for one batch, and what they had"
        " fetched ahead is thrown away. Without shuffling it is always the same batch, so the rest is never trained on."
    ),
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, steps):
                for step in range(steps):
                    x, y = next(iter(loader))  # expect: MOD303
                    optimizer.zero_grad()
                    torch.nn.functional.mse_loss(model(x), y).backward()
                    optimizer.step()
        """),
        Good("""
            import itertools

            import torch

            def train(model, loader, optimizer, steps):
                first = next(iter(loader))
                for x, y in itertools.islice(itertools.cycle(loader), steps):
                    optimizer.zero_grad()
                    torch.nn.functional.mse_loss(model(x), y).backward()
                    optimizer.step()
                return first
        """),
    ),
)
WANTED = Wanted(every=(b"next(iter(", b"backward("))
_LOADER = late(r"loader|_dl\b|\bdl\b", re.IGNORECASE)


def look(view: View) -> Iterator[Problem]:
    """Report such calls in the loop of a backward pass, on what is called a loader and is older than the loop."""
    for node in view.module.scopes.scopes:
        if not isinstance(node, Function | ast.Module):
            continue
        trained = {loop for call in backward_calls(node.body) for loop in loops_around(view, call)[:1]}
        if not trained:
            continue
        for seen in view.calls():
            loader = _first_of(seen.node)
            loops = loops_around(view, seen.node) if loader is not None else []
            if loader is not None and loops and loops[0] in trained and seen.scope.node is node:
                yield Problem(
                    place=view.place(seen.node),
                    message=f"`{ast.unparse(seen.node)}` starts `{ast.unparse(loader)}` anew in each step",
                    remedy="Loop over the loader, or make the iterator once and begin again where it ends.",
                )


def _first_of(node: ast.AST) -> ast.expr | None:
    match node:
        case ast.Call(
            func=ast.Name(id="next"),
            args=[ast.Call(func=ast.Name(id="iter"), args=[ast.Name() | ast.Attribute() as loader])],
        ) if _LOADER.search(last_name(loader)):
            return loader
    return None
