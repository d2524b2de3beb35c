"""AMP312: logits are divided by a small temperature until their exponential is infinite."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
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
    code="AMP312",
    name="temperature-overflow",
    severity=Severity.MEDIUM,
    summary="Logits are divided by a small temperature until their exponential is infinite.",
    why=(
        "A cosine similarity of 1 over a temperature of 0.07 is 14, and exp(14) is beyond the largest float16, which "
        "exp(11.1) reaches; CUDA's autocast computes exp in float32, which ends at exp(88.7). The loss is infinite, "
        "and NaN behind it. `log_softmax` and `logsumexp` take the largest score away first."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def contrast(features, temperature=0.07):
                z = features.half()
                return torch.exp(z @ z.T / temperature)  # expect: AMP312
        """),
        Bad("""
            import torch

            def contrast(z):
                with torch.autocast("cuda", dtype=torch.float16):
                    logits = torch.matmul(z, z.T) / 1e-3
                    return logits.exp().sum(-1)  # expect: AMP312
        """),
        Good("""
            import torch

            def contrast(z):
                with torch.autocast("cuda", dtype=torch.float16):
                    logits = torch.matmul(z, z.T) / 0.07
                    shifted = logits - logits.max(dim=-1, keepdim=True).values
                    return logits.exp(), shifted.exp(), torch.log_softmax(z @ z.T / 1e-3, -1)

            def wide(features):
                return torch.exp(features @ features.T / 0.07)

            def in_bfloat16(features):
                z = features.bfloat16()
                return torch.exp(z @ z.T / 0.07)
        """),
    ),
)
_LARGEST = math.log(3.4028235e38)  # of what exp takes in float32, and in bfloat16 too
_LARGEST_HALF = math.log(65504.0)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Doubt exponentials of a product over a number that is so small that a product of 1 overflows."""
    for call in list(unit.known):
        if not isinstance(call, ast.Call) or last_name(call.func) not in ("exp", "exp_"):
            continue
        value = _operand(project, unit, call)
        scaled = None if value is None else _divided(unit, value)
        if scaled is None:
            continue
        factor = _factor(project, unit, scaled)
        limit = _LARGEST_HALF if unit.at(scaled).dtype == "float16" and not _widens(unit, call) else _LARGEST
        if factor is not None and factor > limit:
            yield Problem(
                place=Place(unit.module, call),
                message=f"`{ast.unparse(scaled)}` reaches {factor:.3g} where the product is 1: exp of it is infinite",
                remedy="Use `log_softmax` or `logsumexp`, or take the largest score away before `exp`.",
                related=because(unit, scaled.left),
                suspicion=True,
            )


def _operand(project: Project, unit: Unit, call: ast.Call) -> ast.expr | None:
    """Return what an exponential is taken of."""
    by_torch = any(name.startswith("torch.") for name in origins(project, call.func, unit.scope))
    if by_torch:
        return call.args[0] if call.args else None
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def _divided(unit: Unit, value: ast.expr) -> ast.BinOp | None:
    """Return the quotient, or product, with a matrix product that an expression is, or that its name was bound to."""
    found = value
    if isinstance(value, ast.Name):
        bound = [item.value for item in unit.scope.bindings.get(value.id, []) if item.how == "value"]
        if len(bound) != 1 or bound[0] is None:
            return None
        found = bound[0]
    if not isinstance(found, ast.BinOp) or not isinstance(found.op, ast.Div | ast.Mult):
        return None
    left = unit.at(found.left)
    return found if left.low and left.marked_at("matmul") is not None else None


def _factor(project: Project, unit: Unit, scaled: ast.BinOp) -> float | None:
    number = number_of(project, scaled.right, unit.scope)
    if number is None or number <= 0:
        return None
    return 1 / number if isinstance(scaled.op, ast.Div) else number


def _widens(unit: Unit, call: ast.Call) -> bool:
    """Say whether autocast computes this exponential in float32."""
    return unit.region_at(call).low
