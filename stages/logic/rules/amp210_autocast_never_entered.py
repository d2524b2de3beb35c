"""AMP210: an autocast context is made and never entered."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.autocasts import made_contexts
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP210",
    name="autocast-never-entered",
    severity=Severity.HIGH,
    summary="An autocast context is made and never entered.",
    why=(
        "`torch.autocast(...)` only makes an object. Until `with` enters it nothing is cast: training runs in fp32, at"
        " full cost and memory, under a scaler that expects half gradients. Nothing says so."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def step(model, batch, optimizer):
                torch.autocast("cuda", dtype=torch.bfloat16)  # expect: AMP210
                loss = model(batch).mean()
                loss.backward()
                optimizer.step()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            def evaluate(model, loader):
                precision = autocast(dtype=torch.float16)  # expect: AMP210
                with torch.no_grad():
                    return [model(batch) for batch in loader]
        """),
        Good("""
            import contextlib
            import torch

            def step(model, batch, amp):
                context = torch.autocast("cuda") if amp else contextlib.nullcontext()
                with context, torch.no_grad():
                    first = model(batch)
                late = torch.autocast("cuda", dtype=torch.bfloat16)
                late.__enter__()
                second = model(batch)
                late.__exit__(None, None, None)
                with contextlib.ExitStack() as stack:
                    stack.enter_context(torch.autocast("cuda"))
                    return first, second, model(batch)
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.context = torch.autocast("cuda", dtype=torch.bfloat16)

            def wrapped(forward):
                cast = torch.autocast("cuda")
                return cast(forward)

            def outer():
                shared = torch.autocast("cuda")

                def inner(model, batch):
                    with shared:
                        return model(batch)

                return inner
        """),
    ),
)


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report contexts whose statement throws them away, and those that a local name keeps and nothing reads."""
    for seen in made_contexts(view):
        parent = view.parent(seen.node)
        if not isinstance(parent, ast.Expr) and not _is_forgotten(view, parent, seen.scope):
            continue
        yield Problem(
            place=view.place(seen.node),
            message="this autocast context is never entered, so nothing is cast",
            why="Making the object changes nothing; the code after it runs in full precision.",
            remedy="Write `with torch.autocast(...):` around the forward and the loss.",
        )


def _is_forgotten(view: View, parent: ast.AST | None, scope: Scope) -> bool:
    """Say whether a context is bound to a local of a function that nobody reads."""
    match parent:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            pass
        case _:
            return False
    owner = scope.owner_of(name)
    if owner is None or not isinstance(owner.node, Function):
        return False
    return not any(
        isinstance(load.node, ast.Name) and load.node.id == name and load.scope.owner_of(name) is owner
        for load in view.module.scopes.loads
    )
