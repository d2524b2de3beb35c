"""AMP507: a LightningModule differentiates its loss itself, past the precision plugin."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import own_nodes
from stages._source.wanted import Wanted
from stages.logic.frameworks import lightning_modules, methods, trains_in_half
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP507",
    name="lightning-raw-backward",
    severity=Severity.CRITICAL,
    summary="`loss.backward()` is called in a LightningModule instead of `self.manual_backward(loss)`.",
    why=(
        "`manual_backward` goes through the precision plugin, which scales the loss under 16-mixed. A plain backward"
        " leaves gradients unscaled while the wrapped optimizer steps through the scaler: the first step ends in"
        " `Attempted step but _scale is None`, or gradients are divided by a scale they never carried."
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
                    loss = self.net(batch).mean()
                    loss.backward()  # expect: AMP507
                    optimizer.step()
                    optimizer.zero_grad()

            trainer = L.Trainer(precision="16-mixed")
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
                    self.manual_backward(self.net(batch).mean())
                    optimizer.step()
                    optimizer.zero_grad()

            trainer = L.Trainer(precision="16-mixed")
        """),
        Good("""
            import lightning as L

            class Probe(L.LightningModule):
                def backward(self, loss):  # Lightning calls this hook with a loss that is scaled already
                    loss.backward()

            trainer = L.Trainer(precision="16-mixed")
        """),
        Good("""
            import lightning as L

            class Manual(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    self(batch).mean().backward()

            trainer = L.Trainer(precision="bf16-mixed")  # nothing is scaled
        """),
    ),
)
_HOOKS = ("training_step", "optimizer_step", "on_train_batch_end", "on_train_batch_start")


READS = Wanted(every=(b"backward",), some=tuple(name.encode() for name in _HOOKS))


def inspect(view: View) -> Iterator[Problem]:
    """Report a plain backward in a training hook, where the project's Trainer may run in float16."""
    for cls in lightning_modules(view):
        for name, method in methods(cls):
            if name not in _HOOKS:
                continue
            for node in own_nodes(getattr(method.node, "body", [])):
                if _is_backward(node):
                    half = trains_in_half(view)
                    if half is not False:
                        yield _problem(view, node, established=half is True)


def _is_backward(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr="backward")):
            return not (isinstance(owner, ast.Name) and owner.id == "self") and not _is_super(owner)
    return False


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _problem(view: View, node: ast.AST, *, established: bool) -> Problem:
    return Problem(
        place=view.place(node),
        message="backward() is called on the loss itself in a LightningModule's training hook",
        why="Under 16-mixed precision the loss is not scaled, but the optimizer steps through the scaler.",
        remedy="Call `self.manual_backward(loss)`.",
        suspicion=not established,
    )
