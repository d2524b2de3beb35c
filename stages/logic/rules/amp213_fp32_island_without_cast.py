"""AMP213: a region with autocast off inside of one that is on computes with half tensors of the outer one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted
from stages.logic.half_values import half_values
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.half_values import HalfValue
    from stages.logic.regions import Region
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP213",
    name="fp32-island-without-cast",
    severity=Severity.HIGH,
    summary="A region with autocast off computes with half tensors of the autocast region around it.",
    why=(
        "`enabled=False` stops casting, in both directions: what is half stays half. Layers with fp32 weights raise on"
        " it; arithmetic, which the region was meant to protect, silently runs in half and overflows at 65504."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def loss(x, t):
                encode = torch.nn.Linear(8, 8)
                with torch.autocast("cuda", dtype=torch.float16):
                    h = encode(x)
                    with torch.autocast("cuda", enabled=False):
                        return (h * h).sum() + t  # expect: AMP213

            def distance(x, t):
                encode = torch.nn.Linear(8, 8)
                with torch.autocast("cuda", dtype=torch.float16):
                    h = encode(x)
                    with torch.autocast("cuda", enabled=False):
                        return (h - t).square().sum()  # expect: AMP213
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            class Attention(torch.nn.Module):
                @autocast()
                def forward(self, q, k, v):
                    with autocast(dtype=torch.float16):
                        scores = torch.matmul(q, k.transpose(-1, -2))
                        with autocast(enabled=False):
                            weights = torch.softmax(scores, dim=-1)  # expect: AMP213
                        return weights @ v
        """),
        Good("""
            import torch

            def loss(x, t, scale):
                encode = torch.nn.Linear(8, 8)
                with torch.autocast("cuda", dtype=torch.float16):
                    h = encode(x)
                    n = encode(t).float()
                    with torch.autocast("cuda", enabled=False):
                        d = h.float() - t.float()
                        h = h.to(torch.float32)
                        e = h * n * scale
                        return (d * d).sum() + e.sum()
        """),
        Good("""
            import torch

            def cast_by_the_callee(x, t, distance):
                encode = torch.nn.Linear(8, 8)
                with torch.autocast("cuda", dtype=torch.float16):
                    h = encode(x)
                    with torch.autocast("cuda", enabled=False):
                        return distance(h, t), h.shape[0] * 2, torch.sum(h, dtype=torch.float32)
        """),
    ),
)
_COMPUTES = late(
    r"torch\.(?:nn\.functional\.)?(?:softmax|log_softmax|exp|log|pow|sum|norm|cumsum|square|matmul|mm|bmm|cdist|var|std"
    r"|mse_loss|l1_loss|cross_entropy|kl_div|linear|normalize|cosine_similarity|logsumexp|einsum)"
)


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report the first operation of an island on each half value; one of a model not in sight is a suspicion."""
    regions = Regions(view)
    islands = [region for region in regions.all() if region.off and isinstance(region.node, ast.With)]
    for island in islands:
        outer = regions.around(island.node)
        if outer is None or outer.off or not isinstance(outer.node, ast.With):
            continue
        values = list(half_values(view, outer, regions))
        half = frozenset(value.name for value in values if value.certain)
        for value in values:
            used = _used_raw(view, island, value, regions)
            if used is not None:
                yield _problem(view, value, used, certain=value.certain and _stays_half(used, half))


def _stays_half(used: ast.expr, half: frozenset[str]) -> bool:
    """Say whether an operation raises or gives half; arithmetic with an fp32 tensor gives fp32."""
    if not isinstance(used, ast.BinOp) or isinstance(used.op, ast.MatMult):
        return True
    operands = (used.left, used.right)
    return all(isinstance(one, ast.Constant) or (isinstance(one, ast.Name) and one.id in half) for one in operands)


def _problem(view: View, value: HalfValue, used: ast.expr, *, certain: bool) -> Problem:
    return Problem(
        place=view.place(used),
        message=f"autocast is off here, but `{value.name}` is still half",
        why="Nothing casts it back to fp32: layers raise on its type, and arithmetic runs in half.",
        remedy=f"Write `{value.name} = {value.name}.float()` where the region begins.",
        related=((view.place(value.made), f"`{value.name}` is made under autocast"),),
        suspicion=not certain,
    )


def _used_raw(view: View, island: Region, value: HalfValue, regions: Regions) -> ast.expr | None:
    """Return the first operation of an island on a value that nothing in it binds anew before."""
    assert isinstance(island.node, ast.With)
    first, last = island.node.lineno, island.node.end_lineno or 0
    bound = [getattr(binding.node, "lineno", 0) for binding in island.scope.bindings.get(value.name, [])]
    rebound = [line for line in bound if first <= line <= last]
    for load in view.module.scopes.loads:
        node = load.node
        if not isinstance(node, ast.Name) or node.id != value.name or load.scope is not island.scope:
            continue
        if regions.around(node) is not island or any(line <= node.lineno for line in rebound):
            continue
        operation = view.parent(node)
        if isinstance(operation, ast.BinOp) or _computes(view, operation, node, island):
            assert isinstance(operation, ast.expr)
            return operation
    return None


def _computes(view: View, operation: ast.AST | None, operand: ast.expr, island: Region) -> bool:
    if not isinstance(operation, ast.Call) or operand not in operation.args:
        return False
    if any(keyword.arg == "dtype" for keyword in operation.keywords):
        return False
    return any(_COMPUTES.fullmatch(name) for name in view.origins(operation.func, island.scope))
