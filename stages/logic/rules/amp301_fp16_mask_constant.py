"""AMP301: a tensor in float16 is masked with a number that float16 cannot hold."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

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
    code="AMP301",
    name="fp16-mask-constant",
    severity=Severity.HIGH,
    summary="A float16 tensor is masked with a number that float16 cannot hold.",
    why=(
        "float16 ends at 65504. `masked_fill`, `clamp` and `pad` with -1e9 raise `cannot be converted to type"
        " at::Half without overflow`; assignment and addition silently make -inf of it, and softmax of a row that is"
        " all -inf is NaN."
    ),
    mode="both",
    examples=(
        Bad("""
            import math
            import torch
            from torch import nn

            class Attention(nn.Module):
                def __init__(self, dim, heads):
                    super().__init__()
                    self.qkv = nn.Linear(dim, 3 * dim)
                    self.head_dim = dim // heads

                def forward(self, x, mask):
                    q, k, v = self.qkv(x).chunk(3, dim=-1)
                    scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(self.head_dim)
                    scores = scores.masked_fill(mask == 0, -1e9)  # expect: AMP301
                    return scores.softmax(-1) @ v

            def train(loader, optimizer, criterion):
                model = Attention(64, 4).cuda()
                scaler = torch.amp.GradScaler("cuda")
                for x, mask, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x, mask), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            NEGATIVE = -1e9

            def decode(proj, x, allowed):
                with autocast():
                    logits = torch.nn.functional.linear(x, proj)
                    logits[~allowed] = NEGATIVE  # expect: AMP301
                    return logits.log_softmax(-1)
        """),
        Bad("""
            import torch

            def bias(keep):
                keep = keep.half()
                return (1.0 - keep) * -1e9  # expect: AMP301

            def padded(x):
                return torch.nn.functional.pad(x.half(), (0, 1), value=torch.finfo(torch.float32).min)  # expect: AMP301
        """),
        Good("""
            import torch
            from torch import nn

            class Attention(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.q = nn.Linear(dim, dim)
                    self.k = nn.Linear(dim, dim)

                def forward(self, x, mask):
                    scores = self.q(x) @ self.k(x).mT
                    scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)
                    other = (self.q(x) @ self.k(x).mT).masked_fill(mask, float("-inf"))
                    wide = scores.float().masked_fill(mask, -1e9)
                    some = scores.masked_fill(mask, -1e4)
                    return scores.softmax(-1) + other.softmax(-1) + wide.softmax(-1) + some.softmax(-1)

            def train(model: Attention, x, mask):
                with torch.autocast("cuda", dtype=torch.float16):
                    return model(x, mask)
        """),
        Good("""
            import torch
            from torch import nn

            class Attention(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.q = nn.Linear(dim, dim)

                def forward(self, x, mask):
                    scores = self.q(x) @ x.mT
                    return scores.masked_fill(mask, -1e9).softmax(-1)

            def train(loader):
                model = Attention(8).cuda()
                for x, mask in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        model(x, mask).sum().backward()
        """),
        Good("""
            import torch

            def mask_of(lengths, size, logits):
                with torch.autocast("cuda", dtype=torch.float16):
                    ahead = torch.arange(size, device=lengths.device)[None] >= lengths[:, None]
                    bias = ahead.float() * -1e9
                    probabilities = logits.softmax(-1).masked_fill(ahead, -1e9)
                    best = ahead.long().masked_fill(ahead, 100000)
                    return bias, probabilities, best
        """),
    ),
)
_LARGEST = 65504.0
_RAISING = {"masked_fill": 1, "masked_fill_": 1, "clamp": 0, "clamp_": 0, "clip": 0, "pad": -1, "fill_": 0}
_SILENT = "Where float16 cannot hold the number, it becomes infinite: softmax of a row that is masked whole is NaN."
_REMEDY = "Write `torch.finfo(scores.dtype).min` or `float('-inf')`, or mask after `.float()`."


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report numbers beyond float16 that meet a tensor known to be float16."""
    for node, _ in list(unit.known.items()):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield from _filled(project, unit, node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
            yield from _added(project, unit, node)
    for target, value in unit.stores.items():
        if unit.at(target.value).dtype == "float16" and _too_large(project, unit, value):
            yield _problem(unit, value, target.value, raises=False)


def _filled(project: Project, unit: Unit, call: ast.Call) -> Iterator[Problem]:
    func = call.func
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    if name not in _RAISING:
        return
    given = list(call.args)
    tensor = func.value if isinstance(func, ast.Attribute) and unit.at(func.value).dtype else None
    if tensor is None and given:
        tensor = given.pop(0)
    if tensor is None or unit.at(tensor).dtype != "float16":
        return
    values = [*given, *(item.value for item in call.keywords)]
    for value in values:
        if _too_large(project, unit, value):
            yield _problem(unit, value, tensor, raises=True)


def _added(project: Project, unit: Unit, node: ast.BinOp) -> Iterator[Problem]:
    for value, tensor in ((node.left, node.right), (node.right, node.left)):
        if unit.at(tensor).dtype == "float16" and _too_large(project, unit, value):
            yield _problem(unit, value, tensor, raises=False)


def _too_large(project: Project, unit: Unit, value: ast.expr) -> bool:
    number = number_of(project, value, unit.scope)
    return number is not None and _LARGEST < abs(number) < float("inf")


def _problem(unit: Unit, value: ast.expr, tensor: ast.expr, *, raises: bool) -> Problem:
    place = Place(unit.module, value)
    how = "raises" if raises else "becomes infinite"
    return Problem(
        place=place,
        message=f"`{ast.unparse(value)}` is beyond float16, and `{ast.unparse(tensor)}` is float16 here: it {how}",
        why="" if raises else _SILENT,
        remedy=_REMEDY,
        related=because(unit, tensor),
        severity=None if raises else Severity.MEDIUM,
    )
