"""MOD207: an evaluation builds graphs that nobody needs, because nothing turns gradients off."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from stages.logic.training_code import backward_calls, method_of, own_calls, receiver_of
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD207",
    name="evaluation-keeps-graphs",
    severity=Severity.INFO,
    summary="An evaluation builds graphs that nobody needs, because nothing turns gradients off.",
    why=(
        "`model.eval()` changes dropout and normalization, not autograd. Each forward keeps its activations for a"
        " backward pass that never comes: evaluation takes the memory of training, so its batches must be as small,"
        " and what is collected from its outputs keeps all of it. A model may need gradients in evaluation, and a"
        " caller may turn them off: INFO."
    ),
    examples=(
        Bad("""
            import torch

            def evaluate(model, loader):
                model.eval()
                total = 0.0
                for x, y in loader:
                    total += torch.nn.functional.mse_loss(model(x), y).item()  # expect: MOD207
                return total
        """),
        Good("""
            import torch

            @torch.no_grad()
            def evaluate(model, loader):
                model.eval()
                return sum(torch.nn.functional.mse_loss(model(x), y).item() for x, y in loader)
        """),
        Good("""
            import torch

            def train_frozen(model, loader, optimizer):
                model.eval()
                for x, y in loader:
                    torch.nn.functional.mse_loss(model(x), y).backward()
                    optimizer.step()
        """),
    ),
)
WANTED = Wanted(
    every=(b".eval()",),
    never=(
        *(b"no_grad", b"inference_mode", b"set_grad_enabled", b"requires_grad", b"autograd", b"ightning", b"jit"),
        *(b"onnx", b"grad("),
    ),
)


def look(view: View) -> Iterator[Problem]:
    """Report the forward of a model in a loop after its `eval()`, in files in which nothing turns gradients off."""
    for node in view.module.scopes.scopes:
        if not isinstance(node, Function) or backward_calls(node.body):
            continue
        calls = own_calls(node.body)
        models = {receiver_of(call): call for call in calls if method_of(call) == "eval" and not call.args}
        for loop in (item for item in own_nodes(node.body) if isinstance(item, ast.For) and models):
            found = next((call for call in own_calls(loop.body) if ast.unparse(call.func) in models), None)
            if found is not None and models[ast.unparse(found.func)].lineno < loop.lineno:
                name = ast.unparse(found.func)
                yield Problem(
                    place=view.place(found),
                    message=f"`{name}` is evaluated here with gradients on",
                    remedy="Decorate the function with `@torch.no_grad()`, or write `with torch.no_grad():` around it.",
                    related=((view.place(models[name]), "in eval mode from here"),),
                )
                break
