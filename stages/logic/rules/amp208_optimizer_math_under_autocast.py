"""AMP208: an optimizer that multiplies matrices steps inside an autocast context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.contexts import autocasting
from stages.logic.engine.events import Stepped
from stages.logic.matrix_optimizers import computes_with_matrices
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP208",
    name="optimizer-math-under-autocast",
    severity=Severity.HIGH,
    summary="An optimizer that multiplies matrices steps inside an autocast context.",
    why=(
        "Autocast does matrix and dot products in half wherever they are called. Optimizers such as Shampoo, SOAP or"
        " LBFGS are built of them, so preconditioners and search directions lose all but 8 or 11 bits. Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            import torch_optimizer

            def train(model, loader, criterion):
                optimizer = torch_optimizer.Shampoo(model.parameters(), lr=0.1)
                for images, labels in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(images), labels)
                        loss.backward()
                        optimizer.step()  # expect: AMP208
        """),
        Bad("""
            import torch

            class Solver:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.LBFGS(model.parameters(), max_iter=20)

                @torch.autocast("cuda", dtype=torch.bfloat16)
                def solve(self, x, y):
                    def closure():
                        self.optimizer.zero_grad()
                        loss = (self.model(x) - y).square().mean()
                        loss.backward()
                        return loss

                    self.optimizer.step(closure)  # expect: AMP208
        """),
        Good("""
            import torch
            import torch_optimizer

            def train(model, loader, criterion):
                optimizer = torch_optimizer.Shampoo(model.parameters(), lr=0.1)
                for images, labels in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(images), labels)
                    loss.backward()
                    optimizer.step()
        """),
        Good("""
            import torch

            def train(model, loader, criterion):
                optimizer = torch.optim.AdamW(model.parameters())
                for images, labels in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(images), labels)
                    loss.backward()
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        optimizer.step()
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report the step of such an optimizer where autocast is on."""
    active = autocasting(event.state)
    if active is None or not computes_with_matrices(event.optimizer):
        return
    yield Problem(
        place=event.place,
        message=f"{event.optimizer.label} steps under autocast, which does its matrix products in half",
        why="The products that the update is made of are computed in float16 or bfloat16 instead of fp32.",
        remedy="Dedent backward and step out of the `with` block; keep only forward and loss inside.",
        related=((active.place, "autocast is entered"),),
    )


CHECKS = {Stepped: check}
