"""AMP301: a tensor in float16 is masked with a number that float16 cannot hold."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.origins import functions, origins
from stages._source.program.scopes import Function, own_nodes
from stages.logic.dtypes.numbers import number_of
from stages.logic.dtypes.wording import because, here
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
        Bad("""
            # --- layers.py
            import torch
            from torch import nn

            def fill(tensor, mask, value):
                return tensor.masked_fill(~mask, value)

            class Attention(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.score = nn.Linear(dim, 1)

                def forward(self, x, mask):
                    score = self.score(x).transpose(-2, -1)
                    score.data.masked_fill_(mask, -1e9)  # expect: AMP301
                    return torch.softmax(score, -1) @ x

            def masked_softmax(vector, mask, fill: float = -1e32):
                return torch.softmax(vector.masked_fill(~mask, fill), -1)  # expect: AMP301

            # --- train.py
            import torch

            def train(model, loader, scaler=torch.amp.GradScaler("cuda")):
                return [model(x.half()) for x in loader]
        """),
        Good("""
            # --- layers.py
            import torch
            from torch import nn

            class Attention(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.score = nn.Linear(dim, 1)

                def forward(self, x, mask):
                    score = self.score(x)
                    if score.dtype == torch.float16:
                        score = score.masked_fill(mask, -6e4)
                    else:
                        score = score.masked_fill(mask, -1e9)
                    wide = self.score(x).float().masked_fill(mask, -1e9)
                    return torch.softmax(score, -1) + torch.softmax(wide, -1)

            def costs(boxes: torch.Tensor, valid, ids):
                cost = torch.cdist(boxes.float(), boxes.float())
                return cost.masked_fill(~valid, 1e9), ids.masked_fill(~valid, 1000000)

            # --- train.py
            import torch

            def train(model, loader, scaler=torch.amp.GradScaler("cuda")):
                return [model(x.half()) for x in loader]
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
_SCORES = late(
    r"(?:\w*_)?(?:scores?|attns?|atts?|attention|logits?|energy|energies|alignments?|sim|dots?|qk|attn_mask|bias)\d*"
)
_RAISING = {"masked_fill": 1, "masked_fill_": 1, "clamp": 0, "clamp_": 0, "clip": 0, "pad": -1, "fill_": 0}
_MADE_LIKE = ("full_like", "new_full", "where")
_SILENT = "Where float16 cannot hold the number, it becomes infinite: softmax of a row that is masked whole is NaN."
SUSPECTS = "float16"
_REMEDY = "Write `torch.finfo(scores.dtype).min` or `float('-inf')`, or mask after `.float()`."


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report numbers beyond float16 that meet a tensor known to be float16."""
    for node, _ in list(unit.known.items()):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield from _filled(project, unit, node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
            yield from _added(project, unit, node)
    yield from _added_in_place(project, unit)
    for target, value in unit.stores.items():
        if _is_half(unit, target.value) and _too_large(project, unit, value):
            yield _problem(unit, value, target.value, raises=False)


def _filled(project: Project, unit: Unit, call: ast.Call) -> Iterator[Problem]:
    func = call.func
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    if name in _MADE_LIKE:
        yield from _made_like(project, unit, call)
        return
    if name not in _RAISING:
        if unit.suspected and call.args and (_is_half(unit, call.args[0]) or not unit.at(call.args[0]).dtype):
            yield from _handed(project, unit, call)
        return
    given = list(call.args)
    tensor = func.value if isinstance(func, ast.Attribute) and _is_tensor(project, unit, func.value) else None
    if tensor is None and given:
        tensor = given.pop(0)
    if tensor is None or not _is_half(unit, tensor):
        return
    values = [*given, *(item.value for item in call.keywords)]
    for value in values:
        if _too_large(project, unit, value):
            yield _problem(unit, value, tensor, raises=True)


def _made_like(project: Project, unit: Unit, call: ast.Call) -> Iterator[Problem]:
    """Report a number that a new tensor, or a choice between a tensor and that number, is to hold."""
    if unit.at(call).dtype != "float16":
        return
    for value in [*call.args, *(item.value for item in call.keywords)]:
        if _too_large(project, unit, value):
            yield _problem(unit, value, call, raises=False)


def _added_in_place(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report `scores += (1 - mask) * -1e9`: whatever the right side is, the sum is float16."""
    for node in own_nodes(unit.scope.node.body) if isinstance(unit.scope.node, Function) else ():
        match node:
            case ast.AugAssign(target=target, op=ast.Add() | ast.Sub(), value=ast.BinOp(op=ast.Mult()) as value):
                for factor in (value.left, value.right):
                    if (
                        _is_half(unit, target)
                        and unit.at(value).dtype != "float16"
                        and _too_large(project, unit, factor)
                    ):
                        yield _problem(unit, factor, target, raises=False)


def _handed(project: Project, unit: Unit, call: ast.Call) -> Iterator[Problem]:
    """Report a number that a call hands to a function of the project for masks, which fills the tensor with it."""
    if "mask" not in last_name(call.func):
        return
    for place, value in enumerate(call.args[1:], 1):
        if not _too_large(project, unit, value):
            continue
        for function in functions(project, call.func, unit.scope):
            node = function.node
            assert isinstance(node, Function)
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
            if place < len(names) and _fills_with(node, names[place]):
                yield _problem(unit, value, call.args[0], raises=True)


def _fills_with(function: Function, name: str) -> bool:
    """Say whether a function fills its first parameter with another one."""
    return any(
        isinstance(node, ast.Call)
        and last_name(node.func) in _RAISING
        and any(isinstance(item, ast.Name) and item.id == name for item in node.args)
        for node in own_nodes(function.body)
    )


def _added(project: Project, unit: Unit, node: ast.BinOp) -> Iterator[Problem]:
    for value, tensor in ((node.left, node.right), (node.right, node.left)):
        inverted = unit.suspected and isinstance(node.op, ast.Mult) and _is_inverted_mask(unit, tensor)
        if (unit.at(tensor).dtype == "float16" or inverted) and _too_large(project, unit, value):
            yield _problem(unit, value, tensor, raises=False)


def _is_inverted_mask(unit: Unit, node: ast.expr) -> bool:
    """Say whether a factor is `1.0 - mask`, of a mask in whatever dtype it was cast to."""
    match node:
        case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=mask):
            return not unit.at(mask).dtype
    return False


def _is_tensor(project: Project, unit: Unit, node: ast.expr) -> bool:
    return bool(unit.at(node).dtype) or not origins(project, node, unit.scope)


def _is_half(unit: Unit, tensor: ast.expr) -> bool:
    """Say whether a tensor is float16; in code that is only suspected, a name that scores have will do."""
    dtype = unit.at(tensor).dtype
    if dtype or not unit.suspected:
        return dtype == "float16"
    named = tensor.value if isinstance(tensor, ast.Attribute) and tensor.attr == "data" else tensor
    return _SCORES.fullmatch(last_name(named)) is not None


def _too_large(project: Project, unit: Unit, value: ast.expr) -> bool:
    number = number_of(project, value, unit.scope)
    return number is not None and _LARGEST < abs(number) < float("inf")


def _problem(unit: Unit, value: ast.expr, tensor: ast.expr, *, raises: bool) -> Problem:
    place = Place(unit.module, value)
    how = f"float16 {here(unit)}: it {'raises' if raises else 'becomes infinite'}"
    return Problem(
        place=place,
        message=f"`{ast.unparse(value)}` is beyond float16, and `{ast.unparse(tensor)}` is {how}",
        why="" if raises else _SILENT,
        remedy=_REMEDY,
        related=because(unit, tensor),
        severity=None if raises else Severity.MEDIUM,
    )
