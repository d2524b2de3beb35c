"""AMP506: a LightningModule with manual optimization clips gradients that carry the loss scale."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.frameworks import lightning_modules, methods, trains_in_half
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP506",
    name="lightning-manual-opt-scaled-clip",
    severity=Severity.CRITICAL,
    summary="A LightningModule with manual optimization clips gradients that carry the loss scale.",
    why=(
        "With `automatic_optimization = False` nobody unscales before `self.clip_gradients(...)` or torch's function:"
        " under 16-mixed the threshold meets gradients up to 65536 times too large. Lightning's own example has it."
    ),
    mode="both",
    examples=(
        Bad("""
            import lightning as L
            import torch

            class GAN(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.automatic_optimization = False
                    self.net = torch.nn.Linear(4, 1)

                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    optimizer.zero_grad()
                    self.manual_backward(self.net(batch).mean())
                    self.clip_gradients(optimizer, gradient_clip_val=0.5)  # expect: AMP506
                    optimizer.step()

            trainer = L.Trainer(precision="16-mixed")
        """),
        Bad("""
            import torch

            def training_step(self, batch):  # a module has it as its method
                first, second = self.optimizers()

                def clip(module):
                    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)  # expect: AMP506

                self.manual_backward(self(batch).mean())
                clip(self.generator)
                first.step()
        """),
        Good("""
            import lightning as L
            import torch

            class GAN(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.automatic_optimization = False
                    self.net = torch.nn.Linear(4, 1)

                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    optimizer.zero_grad()
                    self.manual_backward(self.net(batch).mean())
                    scaler = self.trainer.precision_plugin.scaler
                    if scaler is not None:
                        scaler.unscale_(optimizer)
                    self.clip_gradients(optimizer, gradient_clip_val=0.5)
                    optimizer.step()

            trainer = L.Trainer(precision="16-mixed")
        """),
        Good("""
            import lightning as L
            import torch

            class Classifier(L.LightningModule):  # automatic: the precision plugin unscales before this hook
                def configure_gradient_clipping(self, optimizer, gradient_clip_val, gradient_clip_algorithm):
                    self.clip_gradients(optimizer, gradient_clip_val=gradient_clip_val)

            trainer = L.Trainer(precision="16-mixed")
        """),
    ),
)


READS = Wanted(every=(b"manual_backward",))


def inspect(view: View) -> Iterator[Problem]:
    """Report clipping in a step that optimizes manually and never unscales, where float16 may be on."""
    if not view.mentions("manual_backward"):
        return
    for step, bound in _steps(view):
        nodes = [node for statement in getattr(step.node, "body", []) for node in ast.walk(statement)]
        if any(isinstance(node, ast.Attribute) and "unscale" in node.attr for node in nodes):
            continue
        if not _names(nodes, "manual_backward"):
            continue
        for node in nodes:
            if _clips(view, node, step):
                half = trains_in_half(view)
                if half is not False:
                    yield _problem(view, node, established=half is True and bound)


def _steps(view: View) -> Iterator[tuple[Scope, bool]]:
    """Yield methods of classes that optimize manually, and functions that a module may have as its method."""
    modules = list(lightning_modules(view))
    for cls in modules:
        if _is_manual(cls):
            for name, method in methods(cls):
                if name not in ("configure_gradient_clipping", "__init__"):
                    yield method, True
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, Function) and scope.parent not in modules and not _is_inside_a_function(scope):
            yield scope, False


def _is_inside_a_function(scope: Scope) -> bool:
    return scope.parent is not None and isinstance(scope.parent.node, Function)


def _is_manual(cls: Scope) -> bool:
    bindings = [*cls.attributes.get("automatic_optimization", []), *cls.bindings.get("automatic_optimization", [])]
    return any(isinstance(item.value, ast.Constant) and item.value.value is False for item in bindings)


def _names(nodes: list[ast.AST], attribute: str) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == attribute for node in nodes)


def _clips(view: View, node: ast.AST, method: Scope) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="clip_gradients")):
            return True
        case ast.Call(func=func):
            return any(name.startswith("torch.") for name in view.origins(func, method) if _is_clip(name))
    return False


def _is_clip(name: str) -> bool:
    return vocabulary.names_clipping((name,))


def _problem(view: View, node: ast.AST, *, established: bool) -> Problem:
    return Problem(
        place=view.place(node),
        message="Gradients are clipped under manual optimization while they carry the loss scale",
        why="Under 16-mixed precision nobody has unscaled them here.",
        remedy="Call `self.trainer.precision_plugin.scaler.unscale_(optimizer)` first, where there is a scaler.",
        suspicion=not established,
    )
