"""AMP220: half values are scattered into an fp32 buffer, which raises as soon as autocast is on."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.origins import resolve_bindings
from stages._source.program.scopes import own_nodes
from stages._source.versions import WHERE_PROMOTES, shown
from stages._source.wanted import Wanted
from stages.logic.half_values import half_values, is_half
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.regions import Region
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP220",
    name="mixed-dtype-scatter",
    severity=Severity.HIGH,
    summary="Half values are scattered into an fp32 buffer, which raises as soon as autocast is on.",
    why=(
        "Indexed writes do not convert: `buffer[index] = y`, `index_add_` and `scatter_` raise when `y` is half and the"
        " buffer, made by `torch.zeros(...)`, is fp32. Without autocast both are fp32 and the code works, so it breaks"
        " on the day AMP is turned on."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def gather(x, index, n):
                lin = torch.nn.Linear(8, 8)
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    out = torch.zeros(n, 8, device=x.device)
                    out.index_add_(0, index, lin(x))  # expect: AMP220
                return out
        """),
        Bad("""
            import torch

            def masked(x, w, keep):
                buffer = torch.zeros(x.shape[0], 8, dtype=torch.float32)
                with torch.autocast("cuda", dtype=torch.float16):
                    y = x @ w
                    buffer[keep > 0] = y  # expect: AMP220
                return buffer
        """),
        Bad("""
            # --- requirements.txt
            torch>=1.10

            # --- model.py
            import torch
            from torch import nn

            class Unet(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.to_cond = nn.Linear(dim, dim)
                    self.null = nn.Parameter(torch.randn(1, dim))

                def forward(self, embed, keep):
                    tokens = self.to_cond(embed)
                    return torch.where(keep, tokens, self.null)  # expect: AMP220

                @torch.cuda.amp.autocast()
                def loss(self, embed, keep):
                    return self(embed, keep).mean()
        """),
        Good("""
            # --- requirements.txt
            torch>=2.0

            # --- model.py
            import torch
            from torch import nn

            class Unet(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.to_cond = nn.Linear(dim, dim)
                    self.null = nn.Parameter(torch.randn(1, dim))

                def forward(self, embed, keep):
                    tokens = self.to_cond(embed)
                    return torch.where(keep, tokens, self.null)

                @torch.cuda.amp.autocast()
                def loss(self, embed, keep):
                    return self(embed, keep).mean()
        """),
        Good("""
            import torch

            def gather(x, w, index, n):
                lin = torch.nn.Linear(8, 8)
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    y = lin(x)
                    out = torch.zeros(n, 8, device=x.device)
                    out.index_add_(0, index, y.to(out.dtype))
                    other = torch.zeros(n, 8, dtype=y.dtype)
                    other.index_add_(0, index, y)
                    third = y.new_zeros(n, 8)
                    third[index > 0] = y
                    out[:4] = y
                    for row in range(4):
                        out[row] = x[row] @ w
                return out, other, third
        """),
    ),
)
_LAYERS = frozenset(["torch.nn.Linear", "torch.nn.LazyLinear", "torch.nn.Sequential", "torch.nn.Conv2d"])
_SOURCES = {"index_add_": 2, "index_copy_": 2, "scatter_": 2, "scatter_add_": 2, "masked_scatter_": 1}
_BUFFERS = frozenset(["torch.zeros", "torch.ones", "torch.empty"])


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report writes of values that a product made; those of a model not in sight are a suspicion."""
    regions = Regions(view)
    for region in regions.all():
        if not isinstance(region.node, ast.With) or region.off or region.dtype in ("float32", "float64"):
            continue
        known = {value.name: value.certain for value in half_values(view, region, regions)}
        for node in own_nodes(region.node.body):
            for buffer, source in _written(node):
                certain = _certainty(view, source, region.scope, known)
                if certain is not None and _is_full(view, buffer, region.scope) and regions.around(node) is region:
                    yield _problem(view, region, node, buffer, certain=certain)


def suspect(view: View) -> Iterator[Problem]:
    """Report `torch.where` of what a layer gives and a parameter where the project admits a torch that cannot do it."""
    least = view.torch.least
    if least is None or least >= WHERE_PROMOTES:
        return
    for seen in view.calls():
        match seen.node:
            case ast.Call(args=[_, first, second]) as call if "torch.where" in view.origins(call.func, seen.scope):
                made, other = (first, second) if _is_parameter(view, second, seen.scope) else (second, first)
                if _is_parameter(view, other, seen.scope) and _is_of_layer(view, made, seen.scope):
                    yield Problem(
                        place=view.place(call),
                        message=f"`{ast.unparse(made)}` is half under a caller's autocast, `{ast.unparse(other)}` fp32",
                        why=f"torch {shown(least)}, which this project admits, raises: `where` converts since 1.12.",
                        remedy=f"Cast the parameter: `{ast.unparse(other)}.to({ast.unparse(made)}.dtype)`.",
                    )


def _is_parameter(view: View, node: ast.expr, scope: Scope) -> bool:
    return isinstance(node, ast.Attribute) and any(
        isinstance(binding.value, ast.Call) and "torch.nn.Parameter" in view.origins(binding.value.func, binding.scope)
        for binding in resolve_bindings(view.project, node, scope)
    )


def _is_of_layer(view: View, node: ast.expr, scope: Scope) -> bool:
    """Say whether a local is what a linear layer, or a chain of layers, gives."""
    return isinstance(node, ast.Name) and any(
        isinstance(binding.value, ast.Call)
        and any(
            isinstance(part, ast.Call) and bool(view.origins(part.func, made.scope) & _LAYERS)
            for made in resolve_bindings(view.project, binding.value.func, binding.scope)
            for part in (ast.walk(made.value) if made.value is not None else ())
        )
        for binding in resolve_bindings(view.project, node, scope)
    )


def _problem(view: View, region: Region, node: ast.AST, buffer: str, *, certain: bool) -> Problem:
    return Problem(
        place=view.place(node),
        message=f"half values are written by index into `{buffer}`, which is fp32",
        why="It raises RuntimeError under autocast: source and destination differ in type.",
        remedy=f"Cast what is written (`y.to({buffer}.dtype)`), or make the buffer of it: `y.new_zeros(...)`.",
        related=((view.place(region.call), "autocast is entered"),),
        suspicion=not certain,
    )


def _written(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the buffer and the source of an indexed write that does not convert."""
    match node:
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=index)], value=source):
            if isinstance(index, ast.Compare):  # a tensor for sure; integers and slices convert
                yield name, source
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=args) if method in _SOURCES:
            if len(args) > _SOURCES[method]:
                yield name, args[_SOURCES[method]]


def _certainty(view: View, source: ast.expr, scope: Scope, known: dict[str, bool]) -> bool | None:
    """Say whether a source is half for sure; None where it is not."""
    if isinstance(source, ast.Name):
        return known.get(source.id)
    return True if is_half(view.project, source, scope) else None


def _is_full(view: View, name: str, scope: Scope) -> bool:
    """Say whether a local is only ever bound to new fp32 tensors."""
    bindings = scope.bindings.get(name, [])
    return bool(bindings) and all(
        binding.how == "value"
        and isinstance(binding.value, ast.Call)
        and bool(view.origins(binding.value.func, binding.scope) & _BUFFERS)
        and all(keyword.arg != "dtype" or _is_float(keyword.value) for keyword in binding.value.keywords)
        for binding in bindings
    )


def _is_float(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("float32", "float")
