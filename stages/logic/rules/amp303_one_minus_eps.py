"""AMP303: An upper limit just below one is one in half precision."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

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
    code="AMP303",
    name="one-minus-eps",
    severity=Severity.HIGH,
    summary="An upper limit just below one is one in half precision.",
    why=(
        "Below one, float16 has steps of 0.0005 and bfloat16 of 0.004: a limit such as 1 - 1e-7 rounds to 1"
        " there, so that 1 - p is 0, its logarithm is infinite and a division by it too."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def focal(x, w, y):
                with torch.autocast("cuda", dtype=torch.float16):
                    p = torch.sigmoid(x @ w).clamp(1e-4, 1 - 1e-7)  # expect: AMP303
                    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()
        """),
        Bad("""
            import torch

            def odds(x):
                p = torch.clamp(x.to(torch.bfloat16), max=0.9999)  # expect: AMP303
                return p / (1.0 - p)
        """),
        Good("""
            import torch

            def focal(x, w, y):
                with torch.autocast("cuda", dtype=torch.float16):
                    p = torch.sigmoid(x @ w)
                    coarse = p.clamp(1e-3, 1 - 1e-3)
                    wide = p.float().clamp(1e-7, 1 - 1e-7)
                    only = p.clamp(max=1 - 1e-7)
                    return torch.log(1 - coarse), torch.log(1 - wide), only.mean()
        """),
    ),
)

SUSPECTS = "low"


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report limits that round to one where the distance to one is divided by, or its logarithm taken."""
    for node, known in guarded(project, unit):
        limit = known.marked_at("one-minus")
        if limit is None or not known.low:
            continue
        dtype = "half precision" if known.dtype == "low" else known.dtype
        yield Problem(
            place=Place(unit.module, limit),
            message=f"`{ast.unparse(limit)}` is 1 in {dtype}, so `{ast.unparse(node)}` can be 0 {here(unit)}",
            remedy="Widen first with `.float()`, or work on logits: `F.logsigmoid(-z)` is log(1 - sigmoid(z)).",
            related=because(unit, node),
        )
