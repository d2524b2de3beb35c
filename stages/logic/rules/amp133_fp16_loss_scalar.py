"""AMP133: the loss that is scaled is a float16 scalar."""

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
    code="AMP133",
    name="fp16-loss-scalar",
    severity=Severity.MEDIUM,
    summary="The loss that is scaled is a float16 scalar.",
    why=(
        "The gradient that backward starts with is float16 too, and 65536 is infinite in it: the first step is "
        "skipped, and later every one at which the scale grows to 65536 again. A loss that is computed in float32 "
        "has no such limit."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(w, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = (x @ w - y.half()).abs().mean()
                    scaler.scale(loss).backward()  # expect: AMP133
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(w, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        out = x @ w
                        wide = (out.float() - y).abs().mean()
                        loss = torch.nn.functional.l1_loss(out, y) + wide
                    scaler.scale(loss).backward()
                    scaler.scale((out - y.half()).abs().float().mean()).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()

            def helper(scaler, loss):
                scaler.scale(loss).backward()

            def calls(scaler):
                helper(scaler, torch.ones(()).half())

            def in_bfloat16(w, x, y, scaler):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = (x @ w - y.bfloat16()).abs().mean()
                scaler.scale(loss).backward()
        """),
    ),
)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report losses that half precision computed to the end, and that a scaler scales."""
    for scaled in scaled_halves(unit):
        if not scaled.many:
            yield Problem(
                place=Place(unit.module, scaled.call),
                message=f"`{ast.unparse(scaled.value)}` is float16, so a scale of 65536 overflows in its backward",
                remedy="Reduce in float32: `loss = errors.float().mean()`, or use a loss that autocast widens.",
                related=because(unit, scaled.value),
            )
