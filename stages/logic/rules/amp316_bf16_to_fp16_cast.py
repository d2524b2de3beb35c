"""AMP316: A bfloat16 tensor is cast to float16."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP316",
    name="bf16-to-fp16-cast",
    severity=Severity.HIGH,
    summary="A bfloat16 tensor is cast to float16.",
    why=(
        "bfloat16 reaches to 3e38 and down to 1e-38, float16 from 6e-8 to 65504: what lies outside becomes"
        " infinite or 0, silently."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def convert(weight):
                weight = weight.to(torch.bfloat16)
                return weight.half()  # expect: AMP316

            def forward(x, w):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    y = x @ w
                return y.to(dtype=torch.float16)  # expect: AMP316
        """),
        Good("""
            import torch

            def convert(weight):
                low = weight.to(torch.bfloat16)
                return low.float(), weight.half(), low.float().clamp(-6e4, 6e4).half()
        """),
    ),
)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report casts of values known to be bfloat16."""
    for node, known in list(unit.known.items()):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        value = node.func.value
        if last_name(node.func) not in ("half", "to", "type") or known.dtype != "float16" or known.since is not node:
            continue
        if unit.at(value).dtype == "bfloat16":
            yield Problem(
                place=Place(unit.module, node),
                message=f"`{ast.unparse(value)}` is bfloat16 here, and float16 does not hold its range",
                remedy="Stay in bfloat16, or go to float32.",
                related=because(unit, value),
            )
