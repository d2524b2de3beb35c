"""MOD401: a training loop swallows whatever its step raises, and goes on."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import own_nodes
from stages._source.walking import walk
from stages._source.wanted import Wanted
from stages.logic.blocks import loops_around
from stages.logic.problems import Problem
from stages.logic.training_code import backward_calls, method_of, own_calls
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD401",
    name="training-error-swallowed",
    severity=Severity.MEDIUM,
    summary="A training loop swallows whatever its step raises, and goes on.",
    why=(
        "What fails once mostly fails in every step: the loop runs to its end, trains nothing, and exits with success."
        " Where it fails after the backward pass, gradients of the failed step stay and are added to the next one's."
    ),
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                for x, y in loader:
                    try:
                        optimizer.zero_grad()
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
                    except Exception:  # expect: MOD401
                        continue
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, log):
                for x, y in loader:
                    try:
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
                    except torch.OutOfMemoryError:
                        continue
                    except Exception:
                        log.exception("the step failed")
                        raise

            def other(model, loader, optimizer):
                for x, y in loader:
                    try:
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
                    except Exception as error:
                        if "out of memory" not in str(error):
                            raise

            def timed(model, inputs):
                for x in inputs:
                    try:
                        model(x).sum().backward()
                    except Exception:
                        print("no backward")
        """),
    ),
)
WANTED = Wanted(every=(b"except", b"backward("), pattern=late(rb"except(?: +(?:Base)?Exception\b[^:\n]*)? *:"))
_BROAD = ("Exception", "BaseException")


def look(view: View) -> Iterator[Problem]:
    """Report broad handlers in a loop around a backward pass that neither raise nor leave the loop."""
    for node in walk(view.module.tree):
        if not isinstance(node, ast.Try) or not backward_calls(node.body):
            continue
        loops = loops_around(view, node)
        if not any(method_of(call) == "step" for call in own_calls(loops[:1])):
            continue
        for handler in node.handlers:
            broad = handler.type is None or last_name(handler.type) in _BROAD
            if broad and _goes_on(handler):
                kind = "everything" if handler.type is None else f"every `{last_name(handler.type)}`"
                yield Problem(
                    place=view.place(handler),
                    message=f"{kind} that a training step raises is swallowed here, and the loop goes on",
                    remedy="Catch what is expected, such as `torch.OutOfMemoryError`, and let the rest end the run.",
                    related=((view.place(backward_calls(node.body)[0]), "the backward pass of the step"),),
                )


def _goes_on(handler: ast.ExceptHandler) -> bool:
    nodes = list(own_nodes(handler.body))
    leaves = any(isinstance(item, ast.Raise | ast.Return | ast.Break) for item in nodes)
    ends = any(isinstance(item, ast.Call) and last_name(item.func) in ("exit", "_exit", "abort") for item in nodes)
    return not leaves and not ends and "memory" not in " ".join(ast.unparse(item) for item in handler.body)
