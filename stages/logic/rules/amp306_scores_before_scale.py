"""AMP306: Attention scores are divided only after a float16 product."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP306",
    name="scores-before-scale",
    severity=Severity.HIGH,
    summary="Attention scores are divided only after a float16 product.",
    why=(
        "The product of two vectors of 128 values around 30 is beyond 65504: it is infinite before it is divided,"
        " and softmax of it NaN. Scaling the query first costs nothing and keeps the product in range."
    ),
    mode="both",
    examples=(
        Bad("""
            import math
            import torch
            from torch import nn

            class Attention(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.q = nn.Linear(dim, dim)
                    self.k = nn.Linear(dim, dim)
                    self.scale = dim**-0.5

                def forward(self, x):
                    q, k = self.q(x), self.k(x)
                    return torch.softmax((q @ k.transpose(-2, -1)) * self.scale, dim=-1)  # expect: AMP306

            def train(x):
                attention = Attention(64).cuda()
                with torch.autocast("cuda", dtype=torch.float16):
                    return attention(x)
        """),
        Good("""
            import torch
            from torch import nn

            class Attention(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.q = nn.Linear(dim, dim)
                    self.k = nn.Linear(dim, dim)
                    self.scale = dim**-0.5

                def forward(self, x):
                    q, k = self.q(x), self.k(x)
                    first = torch.softmax((q * self.scale) @ k.transpose(-2, -1), dim=-1)
                    return first, torch.nn.functional.scaled_dot_product_attention(q, k, x)

            def train(x):
                attention = Attention(64).cuda()
                with torch.autocast("cuda", dtype=torch.float16):
                    return attention(x)

            def wide(q, k):
                return torch.softmax(q @ k.mT / 8.0, -1)

            def in_bfloat16(q, k):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    return torch.softmax(q @ k.mT / 8.0, -1)
        """),
    ),
)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Doubt scaled products that a softmax gets: whether they pass the limit, only a run shows."""
    if unit.region.assumed:  # most attention is written so; where nothing in sight runs it in half, it says nothing
        return
    for call in list(unit.known):
        if not isinstance(call, ast.Call) or last_name(call.func) != "softmax":
            continue
        scaled = _scaled(unit, call)
        if scaled is not None:
            yield Problem(
                place=Place(unit.module, call),
                message=f"`{ast.unparse(scaled)}` is scaled after a float16 product, which may be infinite by then",
                remedy="Scale the query before the product, or use `F.scaled_dot_product_attention`.",
                suspicion=True,
            )


def _scaled(unit: Unit, call: ast.Call) -> ast.expr | None:
    """Return the product and its scale, where a softmax gets just that."""
    values = [*([call.func.value] if isinstance(call.func, ast.Attribute) else []), *call.args[:1]]
    for value in values:
        if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Div | ast.Mult):
            continue
        left = unit.at(value.left)
        if left.dtype == "float16" and left.marked_at("matmul") is not None and unit.at(value).dtype == "float16":
            return value
    return None
