"""AMP311: `normalize` or `cosine_similarity` of float16 tensors runs without autocast."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.origins import origins
from stages.logic.dtypes.numbers import number_of
from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP311",
    name="normalize-half-eps",
    severity=Severity.MEDIUM,
    summary="`normalize` or `cosine_similarity` of float16 tensors runs without autocast.",
    why=(
        "The norm is computed in float16 and the eps of 1e-12 or 1e-8 is 0 there: zero vectors become NaN, and"
        " long ones 0. Under CUDA's autocast both run in float32."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            import torch.nn.functional as F

            def embed(x):
                return F.normalize(x.half(), dim=-1)  # expect: AMP311
        """),
        Good("""
            import torch
            import torch.nn.functional as F

            def embed(x, w):
                with torch.autocast("cuda", dtype=torch.float16):
                    inside = F.normalize(x @ w, dim=-1)
                coarse = F.normalize(x.half(), dim=-1, eps=1e-4)
                return inside, coarse, F.normalize(x.half().float(), dim=-1), F.normalize(x, dim=-1)
        """),
    ),
)
_NAMES = frozenset(
    ["torch.nn.functional.normalize", "torch.nn.functional.cosine_similarity", "torch.cosine_similarity"]
)
_SMALLEST = 2.0**-25


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report normalization of float16 tensors where no autocast widens, with an eps that float16 cannot hold."""
    for node in list(unit.known):
        if not isinstance(node, ast.Call) or not node.args or unit.region_at(node).low:
            continue
        if unit.at(node.args[0]).dtype != "float16" or not _NAMES & origins(project, node.func, unit.scope):
            continue
        eps = next((item.value for item in node.keywords if item.arg == "eps"), None)
        number = number_of(project, eps, unit.scope) if eps is not None else 0.0
        if number is not None and number <= _SMALLEST:
            yield Problem(
                place=Place(unit.module, node),
                message=f"`{ast.unparse(node.args[0])}` is float16 here, where the eps of this call is 0",
                remedy="Widen first: `.float()`, and cast the result back.",
                related=because(unit, node.args[0]),
            )
