"""AMP307: Angles of positions are computed by a matrix product under autocast."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages.logic.dtypes.sinks import waves
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP307",
    name="rope-matmul-in-autocast",
    severity=Severity.CRITICAL,
    summary="Angles of positions are computed by a matrix product under autocast.",
    why=(
        "Autocast runs matmul and einsum in half, whatever their inputs are. Positions times frequencies reach"
        " into the thousands, where float16 has steps of 1 and bfloat16 of 8: sin and cos of that are noise."
        " Measured with bfloat16: 769 of 4096 positions are told apart. Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from torch import nn

            class Rotary(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.register_buffer("inv_freq", 1.0 / (10000 ** (torch.arange(0, dim, 2).float() / dim)))

                def forward(self, x):
                    t = torch.arange(x.shape[1], device=x.device).float()
                    freqs = torch.einsum("i,j->ij", t, self.inv_freq)
                    emb = torch.cat((freqs, freqs), dim=-1)
                    return emb.cos(), emb.sin()  # expect: AMP307

            class Model(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.rotary = Rotary(dim)
                    self.fc = nn.Linear(dim, dim)

                def forward(self, x):
                    cos, sin = self.rotary(x)
                    return self.fc(x * cos + x * sin)

            def train(loader, optimizer, model: Model):
                model = Model(64).cuda()
                for x in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = model(x).mean()
                    loss.backward()
                    optimizer.step()
        """),
        Bad("""
            import torch

            @torch.autocast("cuda")
            def embed(timesteps, inv_freq):
                angles = timesteps[:, None].float() @ inv_freq[None].float()
                return torch.cat([torch.sin(angles.float()), torch.cos(angles.float())], -1)  # expect: AMP307
        """),
        Bad("""
            import torch

            def rope(pos, dim, theta):
                scale = torch.arange(0, dim, 2, dtype=torch.float32, device=pos.device) / dim
                omega = 1.0 / (theta**scale)
                return torch.einsum("...n,d->...nd", pos, omega).float()  # expect: AMP307

            class Rotary(torch.nn.Module):
                def forward(self, position_ids):
                    freqs = self.inv_freq[None, :, None].float() @ position_ids[:, None].float()  # expect: AMP307
                    return self.interleaved(freqs).cos()
        """),
        Good("""
            import torch
            from torch import nn

            class Rotary(nn.Module):
                @torch.autocast("cuda", enabled=False)
                def forward(self, t):
                    return torch.einsum("i,j->ij", t.type_as(self.inv_freq), self.inv_freq)

            class Guarded(nn.Module):
                def forward(self, position_ids):
                    with maybe_autocast(device_type="cuda", enabled=False):
                        freqs = self.inv_freq[None, :, None].float() @ position_ids[:, None].float()
                    return freqs.cos()

            class Relative(nn.Module):
                def forward(self, query, rel_pos):
                    return torch.einsum("bhid,jd->bhij", query, self.embed(rel_pos))
        """),
        Good("""
            import torch
            from torch import nn

            class Rotary(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.register_buffer("inv_freq", 1.0 / (10000 ** (torch.arange(0, dim, 2).float() / dim)))

                def forward(self, x):
                    t = torch.arange(x.shape[1], device=x.device).float()
                    with torch.autocast("cuda", enabled=False):
                        freqs = t[:, None] @ self.inv_freq.float()[None]
                        island = freqs.cos()
                    wide = (t[:, None] * self.inv_freq[None]).cos()
                    outer = torch.outer(t, self.inv_freq).sin()
                    return island, wide, outer, torch.sin(self.proj(x))

            def train(x):
                rotary = Rotary(64).cuda()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    return rotary(x)

            def elementwise(timesteps, inv_freq):
                return (timesteps[:, None].float() * inv_freq[None].float()).cos()
        """),
        Good("""
            import math

            import torch

            @torch.autocast("cuda")
            def embed(height, inv_freq, normalize):
                rows = torch.arange(height).float()
                if normalize:  # they end at 2 pi, where half precision has steps of a few thousandths
                    rows = rows / (rows[-1] + 1e-6) * 2 * math.pi
                return torch.einsum("i,j->ij", rows, inv_freq).sin()
        """),
    ),
)


SUSPECTS = "any"  # a library of layers need not know of autocast to be run under one
_REMEDY = "Compute the angles under `torch.autocast(device, enabled=False)`, or multiply elementwise."


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report sin and cos of what a half matrix product made of positions; one finding for each product."""
    if unit.suspected:
        yield from _products_of_positions(unit)
        return
    seen: set[ast.AST] = set()
    for call, node, known in waves(project, unit):
        product = known.since
        if not known.positions or product is None or product in seen or not _is_product(product):
            continue
        seen.add(product)
        inside = product in unit.known
        yield Problem(
            place=Place(unit.module, call),
            message=f"`{ast.unparse(node)}` comes from a matrix product of positions that autocast computes in half",
            remedy=_REMEDY,
            related=((Place(unit.module, product), "autocast runs this in half precision"),) if inside else (),
        )


def _products_of_positions(unit: Unit) -> Iterator[Problem]:
    """Report products of positions with frequencies: what is made of them elsewhere can only be angles."""
    for node, known in list(unit.known.items()):
        if known.low and known.since is node and _is_product(node):
            operands = _operands(node)
            if len(operands) == 2 and not _contracts(node) and all(unit.at(item).positions for item in operands):
                yield Problem(
                    place=Place(unit.module, node),
                    message=f"`{ast.unparse(node)}` makes angles of positions, which the autocast of a caller rounds",
                    remedy=_REMEDY,
                )


def _contracts(node: ast.AST) -> bool:
    """Say whether an einsum adds up over an index, which a product of every position with every frequency does not."""
    match node:
        case ast.Call(args=[ast.Constant(value=str(equation)), *_]):
            given, _, made = equation.partition("->")
            return any(letter.isalpha() and letter not in made for letter in given)
    return False


def _operands(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if not isinstance(node, ast.Call):
        return []
    if last_name(node.func) == "einsum":
        return node.args[1:]
    own = [node.func.value] if isinstance(node.func, ast.Attribute) and len(node.args) == 1 else []
    return [*own, *node.args]


def _is_product(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult)
    return isinstance(node, ast.Call) and last_name(node.func) in ("matmul", "mm", "bmm", "einsum")
