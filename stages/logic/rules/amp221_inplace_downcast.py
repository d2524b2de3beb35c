"""AMP221: fp32 values are added in place to a half tensor and rounded to it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP221",
    name="inplace-downcast",
    severity=Severity.MEDIUM,
    summary="fp32 values are added in place to a half tensor and rounded to it.",
    why=(
        "`half += full` and `half.copy_(full)` keep the dtype on the left: 1e-8 becomes 0 and 7e4 infinite, "
        "without a word. The same sum out of place, `half + full`, would be float32. Whether what is lost matters "
        "depends on the numbers, so the code alone gives a suspicion."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def forward(x, w, bias):
                with torch.autocast("cuda", dtype=torch.float16):
                    y = x @ w
                    y += bias.float()  # expect: AMP221
                    return y
        """),
        Bad("""
            import torch

            def keep(slow, loss):
                half = slow.half()
                half.copy_(loss.float())  # expect: AMP221
                half.add_(loss.float())  # expect: AMP221
                return half
        """),
        Good("""
            import torch

            def forward(x, w, bias, loader):
                with torch.autocast("cuda", dtype=torch.float16):
                    y = x @ w
                    y = y + bias.float()
                    z = x @ w
                    z += y.half()
                    z += 1.0
                    z.mul_(0.5)
                    z.mul_(bias.gt(0).float())
                total = 0.0
                for _ in loader:
                    total += (x @ w).float()
                return y, z, total

            def wide(x, bias):
                y = x.float()
                y += bias.half()
                return y
        """),
    ),
)
_WRITES = {"add_": "+", "sub_": "-", "mul_": "*", "div_": "/", "copy_": "="}


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Doubt what is written into half tensors in place, where it is known to be float32."""
    if unit.region.assumed:
        return
    for statement, written in _writes(unit):
        target, value = written
        if unit.at(target).low and unit.at(value).dtype == "float32" and not _is_whole(unit, value):
            yield Problem(
                place=Place(unit.module, statement),
                message=f"`{ast.unparse(value)}` is float32, and is rounded to half as `{ast.unparse(target)}` is",
                remedy=f"Write it out of place, or widen first: `{ast.unparse(target)}.float()`.",
                related=because(unit, target),
                suspicion=True,
            )


def _is_whole(unit: Unit, value: ast.expr) -> bool:
    """Say whether a value is a mask or a count that was cast, `(x > 0).float()`, which half holds as well."""
    match value:
        case ast.Call(func=ast.Attribute(value=inner)):
            return unit.at(inner).dtype in ("bool", "int")
    return False


def _writes(unit: Unit) -> Iterator[tuple[ast.AST, tuple[ast.expr, ast.expr]]]:
    """Yield each write in place with the tensor that is written into, and what is written."""
    for node in list(unit.known):
        match node:
            case ast.Call(func=ast.Attribute(attr=name, value=target), args=[value]) if name in _WRITES:
                yield node, (target, value)
            case ast.Name() | ast.Attribute():
                around = unit.module.scopes.parents.get(node)
                if isinstance(around, ast.AugAssign) and around.target is node:
                    yield around, (node, around.value)
