"""AMP122: gradients are changed by fixed amounts while they still carry the loss scale."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.origins import functions
from stages._source.wanted import Wanted
from stages.logic.checkpoints import sounds_like_scaler
from stages.logic.engine.events import GradsEdited
from stages.logic.gradients import divides_by_scale, masks_nonfinite, scaled
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP122",
    name="grad-edit-on-scaled-grads",
    severity=Severity.HIGH,
    summary="Gradients are changed by fixed amounts while they still carry the loss scale.",
    why=(
        "Noise, weight decay or a limit of 1.0 means something else next to gradients that are 65536 times too large:"
        " what is added vanishes, what is clamped is all clamped. Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    for p in model.parameters():
                        p.grad.add_(torch.randn_like(p) * 0.01)  # expect: AMP122
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model, clip):
                    self.model = model
                    self.scaler = torch.amp.GradScaler("cuda")
                    for parameter in model.parameters():
                        parameter.register_hook(lambda grad: torch.clamp(grad, -clip, clip))  # expect: AMP122

                def step(self, batch, optimizer):
                    self.scaler.scale(self.model(batch)).backward()
                    self.scaler.step(optimizer)
                    self.scaler.update()
        """),
        Bad("""
            import torch

            def limit(optimizer, grad_clip):
                for group in optimizer.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            p.grad.data.clamp_(-grad_clip, grad_clip)  # expect: AMP122

            def train(model, loader, optimizer, scaler, grad_clip):
                for x, y in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(x, y)).backward()
                    limit(optimizer, grad_clip)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            # --- trainer.py
            import torch
            from clipping import enable_gradient_clipping

            class Trainer:
                def __init__(self, model, optimizer):
                    self.model, self.optimizer = model, optimizer
                    self.scaler = torch.amp.GradScaler("cuda")

                def train(self, losses):
                    enable_gradient_clipping(self.model, 1.0)  # expect: AMP122
                    for loss in losses:
                        self.scaler.scale(loss()).backward()
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
            # --- clipping.py
            import torch

            def enable_gradient_clipping(model, limit):
                for parameter in model.parameters():
                    parameter.register_hook(lambda grad: torch.clamp(grad, -limit, limit))
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, world):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    for p in model.parameters():
                        p.grad.div_(world)
                    scaler.unscale_(optimizer)
                    for p in model.parameters():
                        p.grad.add_(torch.randn_like(p) * 0.01)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, clip):
                for parameter in model.parameters():
                    parameter.register_hook(lambda grad: torch.clamp(grad, -clip, clip))
                for batch in loader:
                    optimizer.zero_grad()
                    model(batch).backward()
                    for p in model.parameters():
                        p.grad += 0.01 * p.detach()
                    optimizer.step()
        """),
    ),
)

_FIXED = frozenset(["add_", "sub_", "clamp_", "clip_", "sign_", "normal_", "an augmented assignment"])
_SUMS = frozenset(["add_", "sub_", "an augmented assignment"])
_LIMITS = late(r"clamp|clip|nan_to_num")
_CLIPS = late(r"cl[ia]p|clamp|limit|hook", re.I)


def check(event: GradsEdited) -> Iterator[Problem]:
    """Report a write to scaled gradients that is no mere multiplication; AMP121 has those that hide an overflow."""
    held = scaled(event.state, event.grads.of)
    if held is None or event.linear or event.how not in _FIXED or masks_nonfinite(event):
        return
    if (event.how in _SUMS and _adds_gradients(event.place.node)) or divides_by_scale(event.place):
        return
    yield Problem(
        place=event.place,
        message=f"gradients are changed by {_what(event.how)} while they carry the loss scale",
        why="The amount is meant for true gradients; beside those that are 65536 times as large it is wrong.",
        remedy="Call `scaler.unscale_(optimizer)` first.",
        related=tuple((site, "scaled backward") for site in held.backwards[-1:]),
    )


READS = Wanted(every=(b"caler",))


def inspect(view: View) -> Iterator[Problem]:
    """Report hooks that limit gradients during backward, in a class or file that makes a scaler and scales."""
    hooks = [seen for seen in view.calls() if isinstance(seen.node, ast.Call) and _limits_in_hook(seen.node)]
    handed = [] if hooks else _helpers_with_hooks(view)
    if not (hooks or handed) or not _makes_and_scales(view):
        return
    for seen in hooks or handed:
        yield Problem(
            place=view.place(seen.node),
            message="this hook limits gradients during backward, where they carry the loss scale"
            if hooks
            else "hooks that limit gradients during backward are set here, where gradients carry the loss scale",
            why="All but the smallest scaled gradients are above the limit, and an overflow is hidden from the scaler.",
            remedy="Clip after `scaler.unscale_(optimizer)` instead: `torch.nn.utils.clip_grad_value_`.",
            suspicion=not hooks,
        )


def _makes_and_scales(view: View) -> bool:
    calls = [(seen, seen.node) for seen in view.calls() if isinstance(seen.node, ast.Call)]
    made = any(vocabulary.names_scaler(view.origins(node.func, seen.scope)) for seen, node in calls)
    return made and any(_scales(node) for _, node in calls)


def _helpers_with_hooks(view: View) -> list[Seen]:
    """Return the calls of the project's own functions, named after clipping, that set such hooks."""
    return [
        seen
        for seen in view.calls()
        if isinstance(seen.node, ast.Call)
        and _CLIPS.search(ast.unparse(seen.node.func))
        and any(_sets_hooks(scope.node) for scope in functions(view.project, seen.node.func, seen.scope))
    ]


def _sets_hooks(function: ast.AST) -> bool:
    return any(isinstance(node, ast.Call) and _limits_in_hook(node) for node in ast.walk(function))


def _what(how: str) -> str:
    return how if " " in how else f"`{how}`"


def _adds_gradients(node: ast.AST) -> bool:
    """Say whether what is added are gradients themselves, as when those of several workers are summed."""
    if isinstance(node, ast.Call):
        return any("grad" in ast.unparse(item) for item in node.args)
    return isinstance(node, ast.BinOp) and "grad" in ast.unparse(node.right)


def _limits_in_hook(call: ast.Call) -> bool:
    match call:
        case ast.Call(func=ast.Attribute(attr="register_hook"), args=[ast.Lambda(body=body)]):
            return _LIMITS.search(ast.unparse(body)) is not None
    return False


def _scales(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="scale" | "unscale_", value=owner)):
            return sounds_like_scaler(owner)
    return False


CHECKS = {GradsEdited: check}
