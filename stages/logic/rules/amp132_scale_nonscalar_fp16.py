"""AMP132: a float16 tensor with dimensions is scaled."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from stages.logic.scaled_halves import scaled_halves
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP132",
    name="scale-nonscalar-fp16",
    severity=Severity.HIGH,
    summary="A float16 tensor with dimensions is scaled.",
    why=(
        "`scale()` keeps the dtype of such a tensor, and 65536 times anything above 1 is beyond 65504, the "
        "largest float16: every element is infinite and every step is skipped. Reduce the loss, or make it "
        "float32, before it is scaled."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(w, loader, optimizer, scaler):
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        errors = (x @ w - y.half()).abs()
                    scaler.scale(errors).mean().backward()  # expect: AMP132
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()

            def named(w, x, y, grad_scaler):
                with torch.autocast("cuda", dtype=torch.float16):
                    errors = (x @ w - y.half()).abs()
                scaled = grad_scaler.scale(errors)  # expect: AMP132
                scaled.sum().backward()
        """),
        Good("""
            import torch

            def train(w, loader, optimizer, scaler, criterion=torch.nn.MSELoss(reduction="none")):
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        errors = (x @ w - y.half()).abs()
                        wide = torch.nn.functional.mse_loss(x @ w, y, reduction="none")
                    scaler.scale(errors.float().mean()).backward()
                    scaler.scale(errors.float()).mean().backward()
                    scaler.scale(wide).mean().backward()
                    scaler.scale(criterion(x @ w, y)).mean().backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
    ),
)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report float16 tensors that are scaled first and reduced afterwards."""
    for scaled in scaled_halves(unit):
        if scaled.many:
            yield Problem(
                place=Place(unit.module, scaled.call),
                message=f"`{ast.unparse(scaled.value)}` is float16 and not yet one number: scaled, it is infinite",
                remedy="Reduce it first: `scaler.scale(loss.float().mean())`.",
                related=because(unit, scaled.value),
            )
