"""MOD201: a training loop steps its optimizer and never clears the gradients."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import resolve_bindings
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.blocks import Loop, loops_around
from stages.logic.problems import Problem
from stages.logic.training_code import backward_calls, method_of, own_calls
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD201",
    name="missing-zero-grad",
    severity=Severity.HIGH,
    summary="A training loop steps its optimizer and never clears the gradients.",
    why=(
        "`backward` adds to the gradients that are there. Each step then moves along the sum of all gradients since the"
        " beginning: it trains, worse from step to step, and diverges with a learning rate that should work."
    ),
    examples=(
        Bad("""
            import torch

            def train(model, loader):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    loss = torch.nn.functional.mse_loss(model(x), y)
                    loss.backward()
                    optimizer.step()  # expect: MOD201
        """),
        Good("""
            import torch

            def train(model, loader):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    loss = torch.nn.functional.mse_loss(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        """),
        Good("""
            import torch

            def train(model, loader):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    for p in model.parameters():
                        p.grad = None
                    torch.nn.functional.mse_loss(model(x), y).backward()
                    optimizer.step()
        """),
        Good("""
            import torch

            def guide(model, latents, steps):
                for _ in range(steps):
                    x = latents.detach().clone().requires_grad_()
                    optimizer = torch.optim.SGD([x], lr=0.1)
                    model(x).mean().backward()
                    optimizer.step()
                    latents = x
        """),
    ),
)
_CLEARS = late(rb"zero_grad|\.grad *= *None|\.grad(?:\.data)?\.(?:zero_|fill_|mul_)|set_to_none|deepspeed|clear_grad")
WANTED = Wanted(
    every=(b"backward(", b".step(", b"torch.optim"), never=(b"zero_grad",), test=lambda data: not _CLEARS.search(data)
)


def look(view: View) -> Iterator[Problem]:
    """Report steps of an optimizer that the file makes, in a loop with a backward pass; nothing in the file clears."""
    for node, scope in view.module.scopes.scopes.items():
        body = node.body if isinstance(node, Function | ast.Module) else []
        for call in own_calls(body):
            if isinstance(call.func, ast.Attribute) and method_of(call) == "step" and not call.args:
                loops = _loops_since_made(view, call, call.func.value, scope)
                if any(set(loops_around(view, item)) & loops for item in backward_calls(body)):
                    yield Problem(
                        place=view.place(call),
                        message=f"`{ast.unparse(call)}` steps in a loop in which nothing clears the gradients",
                        remedy=f"Call `{ast.unparse(call.func.value)}.zero_grad()` before the backward pass.",
                    )
                    break


def _loops_since_made(view: View, call: ast.Call, optimizer: ast.expr, scope: Scope) -> set[Loop]:
    """Return the loops around a step that its optimizer is older than; none where it is not made in sight."""
    if "optimizer" not in view.kinds.of(optimizer, scope):
        return set()
    made = [loops_around(view, item.node) for item in resolve_bindings(view.project, optimizer, scope)]
    return set(loops_around(view, call)) - {loop for loops in made for loop in loops}
