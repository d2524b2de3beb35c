"""AMP317: A norm written by hand squares half values."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.dtypes.sinks import norms
from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP317",
    name="handwritten-norm-half",
    severity=Severity.HIGH,
    summary="A norm written by hand squares half values.",
    why=(
        "The mean of squares is infinite in float16 once values pass 256, and one over its root is 0: the layer"
        " gives zeros, and nothing raises. Measured with values around 300."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def rms_norm(x, weight):
                x = x.half()
                variance = x.pow(2).mean(-1, keepdim=True)  # expect: AMP317
                return x * torch.rsqrt(variance + 1e-4) * weight
        """),
        Good("""
            import torch

            def rms_norm(x, weight):
                wide = x.half().float()
                variance = wide.pow(2).mean(-1, keepdim=True)
                return (wide * torch.rsqrt(variance + 1e-6)).half() * weight

            def under_autocast(x, w):
                with torch.autocast("cuda", dtype=torch.float16):
                    y = x @ w
                    return y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)
        """),
    ),
)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Doubt roots of means of squares in float16: how large the values are, only a run shows."""
    for mean in norms(project, unit):
        if unit.at(mean).dtype == "float16" and isinstance(mean, ast.expr):
            yield Problem(
                place=Place(unit.module, mean),
                message=f"`{ast.unparse(mean)}` of a norm squares float16 values, which is infinite beyond 256",
                remedy="Compute the norm on `x.float()` and cast back, or use `torch.nn.functional.rms_norm`.",
                related=because(unit, mean),
                suspicion=True,
            )
