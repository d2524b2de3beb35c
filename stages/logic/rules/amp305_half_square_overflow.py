"""AMP305: Squares are summed in float16, where they are infinite beyond 256."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.dtypes.sinks import mean_squares, norms
from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP305",
    name="half-square-overflow",
    severity=Severity.HIGH,
    summary="Squares are summed in float16, where they are infinite beyond 256.",
    why=(
        "256 squared is more than float16 holds: a mean of squares is infinite as soon as one value is, and the"
        " loss with it. CUDA's autocast runs `pow` in float32, but not `x * x` and `square`."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def energy(x, w):
                with torch.autocast("cuda", dtype=torch.float16):
                    y = x @ w
                    return (y * y).mean()  # expect: AMP305
        """),
        Good("""
            import torch

            def energy(x, w):
                with torch.autocast("cuda", dtype=torch.float16):
                    y = x @ w
                    return (y**2).mean(), y.pow(2).sum(), y.float().square().mean(), y * y

            def plain(x):
                return (x * x).mean()

            def in_bfloat16(x):
                return x.bfloat16().square().mean()
        """),
    ),
)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Doubt means of squares in float16: how large the values are, only a run shows. Norms are another rule's."""
    roots = norms(project, unit)
    for node, known in mean_squares(unit):
        if known.dtype == "float16" and node not in roots:
            yield Problem(
                place=Place(unit.module, node),
                message=f"`{ast.unparse(node)}` squares float16 values, which is infinite beyond 256",
                remedy="Widen first: `x.float().square()`. Under CUDA's autocast `x.pow(2)` widens by itself.",
                related=because(unit, node),
                suspicion=True,
            )
