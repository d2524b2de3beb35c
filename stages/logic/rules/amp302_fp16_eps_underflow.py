"""AMP302: A guard against zero is itself zero in float16."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.dtypes.numbers import number_of
from stages.logic.dtypes.sinks import guarded
from stages.logic.dtypes.wording import because, here
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP302",
    name="fp16-eps-underflow",
    severity=Severity.HIGH,
    summary="A guard against zero is itself zero in float16.",
    why=(
        "The smallest float16 above zero is 6e-8: a constant below 3e-8 rounds to 0 there. What it was to protect"
        " divides by zero, or is log(0), and the loss is NaN or infinite. CUDA's autocast casts to float32 only"
        " inside of log or sqrt: after the sum."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from torch import nn

            class Gate(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.fc = nn.Linear(dim, dim)

                def forward(self, x):
                    p = torch.sigmoid(self.fc(x))
                    return -(p * torch.log(p + 1e-8)).mean()  # expect: AMP302

            def train(loader, optimizer, scaler):
                gate = Gate(16).cuda()
                for x in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = gate(x)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            EPS = 1e-12

            def weights(a):
                a = a.half()
                total = a.mean(-1, keepdim=True) + EPS  # expect: AMP302
                return a / total

            def normed(x):
                with torch.cuda.amp.autocast():
                    y = x @ x.mT
                    return y / y.abs().amax(-1, keepdim=True).clamp(min=1e-10)  # expect: AMP302
        """),
        Bad("""
            # --- losses.py
            import torch

            def focal(logits, target):
                p = torch.sigmoid(logits)
                return -(target * torch.log(p + 1e-8)).mean()  # expect: AMP302

            def standardized(x):
                return (x - x.mean()) / (x.std() + 1e-8)  # expect: AMP302

            # --- train.py
            from accelerate import Accelerator

            accelerator = Accelerator(mixed_precision="fp16")
        """),
        Good("""
            # --- losses.py
            import torch

            def focal(logits, target):
                p = torch.sigmoid(logits.float())
                return -(target * torch.log(p + 1e-8)).mean()

            def unit(x):
                return x / (x.norm(dim=-1, keepdim=True) + 1e-8)

            def share(counts, mask):
                return counts.sum() / (mask.float().mean() + 1e-8)

            # --- train.py
            from accelerate import Accelerator

            accelerator = Accelerator(mixed_precision="fp16")
        """),
        Good("""
            import torch
            from torch import nn

            class Gate(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.fc = nn.Linear(dim, dim)

                def forward(self, x):
                    p = torch.sigmoid(self.fc(x))
                    a = self.fc(x)
                    wide = torch.log(p.float() + 1e-8)
                    soft = torch.log(self.fc(x).softmax(-1) + 1e-8)
                    large = torch.log(p + 1e-4)
                    total = a / (a.sum(-1, keepdim=True) + 1e-8)
                    with torch.autocast("cuda", enabled=False):
                        q = p.float()
                        island = q / (q.mean() + 1e-8)
                    return wide, soft, large, total, island, (p + 1e-8).mean()

            def train(x):
                gate = Gate(16).cuda()
                with torch.autocast("cuda", dtype=torch.float16):
                    return gate(x)
        """),
        Good("""
            import torch

            def loss(x, w):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    p = torch.sigmoid(x @ w)
                    return -torch.log(p + 1e-8).mean()

            def plain(p):
                return -torch.log(p + 1e-8).mean()
        """),
    ),
)
SUSPECTS = "float16"
_SMALLEST = 2.0**-25  # rounds to 0 at and below


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report guards of a division, a logarithm or a root that float16 rounds to nothing."""
    for node, known in guarded(project, unit):
        guard = known.marked_at("tiny")
        if known.dtype != "float16" or not isinstance(guard, ast.expr):
            continue
        number = number_of(project, guard, unit.scope)
        if number is None or not 0 < number <= _SMALLEST:
            continue
        yield Problem(
            place=Place(unit.module, guard),
            message=f"`{ast.unparse(guard)}` is 0 in float16: what `{ast.unparse(node)}` is {here(unit)}",
            remedy="Widen first, by `.float()` before the guard is added, or use one that float16 holds, such as 1e-4.",
            related=because(unit, node),
        )
