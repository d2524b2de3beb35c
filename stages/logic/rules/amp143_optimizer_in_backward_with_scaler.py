"""AMP143: an optimizer steps inside the backward of a scaled loss."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.origins import functions
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP143",
    name="optimizer-in-backward-with-scaler",
    severity=Severity.CRITICAL,
    summary="A gradient hook steps the optimizer during the backward of a scaled loss.",
    why=(
        "The hook runs as soon as a gradient is there, long before unscale_: the optimizer steps with gradients that"
        " are up to 65536 times too large, and applies those that overflowed."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader):
                optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}
                scaler = torch.amp.GradScaler("cuda")

                def hook(param):
                    optimizers[param].step()
                    optimizers[param].zero_grad()

                for p in model.parameters():
                    p.register_post_accumulate_grad_hook(hook)  # expect: AMP143
                for x in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = model(x).mean()
                    scaler.scale(loss).backward()
        """),
        Bad("""
            import torch
            from torch.distributed.optim import _apply_optimizer_in_backward

            def train(model, loader):
                _apply_optimizer_in_backward(torch.optim.SGD, model.parameters(), {"lr": 0.1})  # expect: AMP143
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    scaler.scale(model(x).mean()).backward()
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, g_scaler):
                for x in loader:
                    g_scaler.scale(model(x).mean()).backward()
                    g_scaler.step(optimizer)
                    g_scaler.update()

            def main(model, loader):
                opt_gen = torch.optim.SGD(model.parameters(), lr=0.1)
                for p in model.parameters():
                    p.register_post_accumulate_grad_hook(lambda _: opt_gen.step())  # expect: AMP143
                train(model, loader, opt_gen, torch.amp.GradScaler("cuda"))
        """),
        Good("""
            import torch

            def train(model, loader):
                optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}

                def hook(param):
                    optimizers[param].step()
                    optimizers[param].zero_grad()

                for p in model.parameters():
                    p.register_post_accumulate_grad_hook(hook)
                for x in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = model(x).mean()
                    loss.backward()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                norms = []

                def hook(param):
                    norms.append(param.grad.norm())

                for p in model.parameters():
                    p.register_post_accumulate_grad_hook(hook)
                for x in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(x).mean()).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)


READS = Wanted(some=(b"register_post_accumulate_grad_hook", b"_apply_optimizer_in_backward"))


def inspect(view: View) -> Iterator[Problem]:
    """Report a hook that steps an optimizer in a function whose loss a scaler scales."""
    hooks = [seen for seen in view.calls() if _steps_in_backward(view, seen)]
    if not hooks:
        return
    scaling = [seen for seen in view.calls() if _scales(view, seen)]
    for seen in hooks:
        shared = [other for other in scaling if other.scope is seen.scope]
        for other in (shared or scaling)[:1]:
            yield Problem(
                place=view.place(seen.node),
                message="An optimizer steps inside the backward of a loss that is scaled",
                why="At that moment the gradients still carry the loss scale, and nobody has looked for an overflow.",
                remedy="Train in bfloat16 without a scaler, or step after the backward through the scaler.",
                related=((view.place(other.node), "the loss is scaled here"),),
                suspicion=not shared and not _scales_all(view),
            )


def _scales_all(view: View) -> bool:
    """Say whether every backward of the file is of a loss that is scaled right there."""
    calls = [seen.node for seen in view.calls()]
    backwards = [
        node.func.value
        for node in calls
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward"
    ]
    scaled = {seen.node for seen in view.calls() if _scales(view, seen)}
    return bool(backwards) and all(root in scaled for root in backwards)


def _steps_in_backward(view: View, seen: Seen) -> bool:
    node = seen.node
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr == "register_post_accumulate_grad_hook" and node.args:
        return any(_steps(view, body, scope) for body, scope in _bodies(view, node.args[0], seen.scope))
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name == "_apply_optimizer_in_backward"


def _bodies(view: View, hook: ast.expr, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    if isinstance(hook, ast.Lambda):
        yield hook.body, scope
    for callee in functions(view.project, hook, scope):
        yield callee.node, callee


def _steps(view: View, body: ast.AST, scope: Scope) -> bool:
    """Say whether a hook calls `step` of what is called an optimizer, or is an element of what is."""
    for node in ast.walk(body):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step":
            owner = node.func.value
            owner = owner.value if isinstance(owner, ast.Subscript) else owner
            if view.kinds.is_optimizer(owner, scope, view.module) or "optim" in ast.unparse(owner).lower():
                return True
    return False


def _scales(view: View, seen: Seen) -> bool:
    node = seen.node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "scale":
        return False
    return view.kinds.is_scaler(node.func.value, seen.scope, view.module)
