"""AMP223: an autograd function multiplies matrices in both directions and says nothing about autocast."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import own_nodes
from stages._source.wanted import Wanted
from stages.logic.custom_functions import applications, custom_functions, multiplies, saves, works
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stages.logic.custom_functions import CustomFunction, Declared
    from stages.logic.regions import Region
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP223",
    name="custom-function-undecorated",
    severity=Severity.HIGH,
    summary="An autograd function multiplies matrices in both directions and says nothing about autocast.",
    why=(
        "Under autocast its forward returns half while what it saved is fp32, and backward runs where autocast is off:"
        " a half gradient meets an fp32 matrix and the product raises. `custom_fwd` and `custom_bwd` give both"
        " directions the same state."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            class Multiply(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, w):  # expect: AMP223
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad @ w.t(), x.t() @ grad

            def step(x, w, optimizer):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = Multiply.apply(x, w).mean()
                loss.backward()
                optimizer.step()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast, custom_fwd

            class Project(torch.autograd.Function):
                @staticmethod
                @custom_fwd
                def forward(ctx, x, w):  # expect: AMP223
                    ctx.save_for_backward(x, w)
                    return torch.matmul(x, w)

                @staticmethod
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return torch.matmul(grad, w.t()), torch.matmul(x.t(), grad)

            class Layer(torch.nn.Module):
                @autocast()
                def forward(self, x, w):
                    return Project.apply(x, w)
        """),
        Bad("""
            import torch
            from torch.autograd import Function
            from .backend import _backend

            class March(Function):
                @staticmethod
                def forward(ctx, sigmas, rays):  # expect: AMP223
                    image = torch.zeros(rays.shape[0], 3, device=sigmas.device)
                    _backend.march_forward(sigmas, rays, image)
                    ctx.save_for_backward(sigmas, rays)
                    return image

                @staticmethod
                def backward(ctx, grad_image):
                    sigmas, rays = ctx.saved_tensors
                    grad = torch.zeros_like(sigmas)
                    _backend.march_backward(grad_image, sigmas, rays, grad)
                    return grad, None

            march = March.apply
            fp16 = True
        """),
        Good("""
            import torch
            from torch.autograd import Function
            from torch.cuda.amp import custom_bwd, custom_fwd
            from .backend import _backend

            class March(Function):
                @staticmethod
                @custom_fwd(cast_inputs=torch.half)
                def forward(ctx, sigmas, rays):
                    ctx.save_for_backward(sigmas, rays)
                    return _backend.march_forward(sigmas, rays)

                @staticmethod
                @custom_bwd
                def backward(ctx, grad_image):
                    return _backend.march_backward(grad_image, *ctx.saved_tensors), None

            class Gather(Function):
                @staticmethod
                def forward(ctx, x, group):
                    ctx.group = group
                    return _backend.gather(x, group)

                @staticmethod
                def backward(ctx, grad):
                    return _backend.split(grad, ctx.group), None
        """),
        Good("""
            import torch
            from torch.amp import custom_bwd, custom_fwd

            class Multiply(torch.autograd.Function):
                @staticmethod
                @custom_fwd(device_type="cuda")
                def forward(ctx, x, w):
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                @custom_bwd(device_type="cuda")
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad @ w.t(), x.t() @ grad

            class Exact(torch.autograd.Function):
                @staticmethod
                @custom_fwd(device_type="cuda", cast_inputs=torch.float32)
                def forward(ctx, x, w):
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad @ w.t(), x.t() @ grad

            def run(x, w):
                with torch.autocast("cuda"):
                    return Multiply.apply(x, w) + Exact.apply(x, w)
        """),
        Good("""
            import torch

            class Reverse(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, factor):
                    ctx.factor = factor
                    return x.view_as(x)

                @staticmethod
                def backward(ctx, grad):
                    return grad.neg() * ctx.factor, None

            class Casting(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, w):
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad.to(w.dtype) @ w.t(), x.t() @ grad.to(x.dtype)

            def run(x, w):
                with torch.autocast("cuda"):
                    return Reverse.apply(x, 1.0) + Casting.apply(x, w)
        """),
        Good("""
            import torch

            class Multiply(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, w):
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad @ w.t(), x.t() @ grad

            def run(x, w):
                with torch.autocast("cuda", enabled=False):
                    return Multiply.apply(x.float(), w.float())
        """),
    ),
)
_CASTS = frozenset(["float", "half", "bfloat16", "to", "type", "type_as", "double", "autocast", "set_autocast_enabled"])


READS = Wanted(every=(b"Function", b"autocast"))


def inspect(view: View) -> Iterator[Problem]:
    """Report such functions where the file runs them under autocast."""
    regions = Regions(view)
    for function in custom_functions(view):
        if not _is_open(function):
            continue
        region = _applied_in(view, function, regions)
        if region is None:
            continue
        yield Problem(
            place=view.place(function.forward.node),
            message=f"{function.name} multiplies matrices under autocast without custom_fwd and custom_bwd",
            why="Its backward gets a half gradient and saved fp32 tensors, and their product raises RuntimeError.",
            remedy="Decorate forward with `torch.amp.custom_fwd` and backward with `torch.amp.custom_bwd`.",
            related=((view.place(region.call), "applied under this autocast"),),
        )


def suspect(view: View) -> Iterator[Problem]:
    """Report such functions where nothing in the file runs them, those that leave the work to a library included."""
    if view.mentions("autocast") or view.mentions("custom_fwd"):
        return  # whoever wrote the file has thought of it
    for function in custom_functions(view):
        forward = function.forward
        if not saves(forward) or not _is_open(function, lambda method: works(view, method)):
            continue
        if not any(_asks_for_types(method) for method in (forward, function.backward)):
            yield Problem(
                place=view.place(forward.node),
                message=f"{function.name} computes in both directions without custom_fwd and custom_bwd",
                why="Under the autocast of a caller it gets half tensors, which it may not be written for.",
                remedy="Decorate forward with `torch.amp.custom_fwd` and backward with `torch.amp.custom_bwd`.",
            )


def _is_open(function: CustomFunction, works: Callable[[Declared], bool] = multiplies) -> bool:
    """Say whether both directions work, and nothing in them, or around them, sees to the types."""
    forward, backward = function.forward, function.backward
    if backward.by is not None or forward.casts or not forward.plain or not backward.plain:
        return False
    return all(works(method) and not _sees_to_types(method) for method in (forward, backward))


def _sees_to_types(method: Declared) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr in _CASTS for node in own_nodes(method.node.body))


def _asks_for_types(method: Declared) -> bool:
    """Say whether a method insists on a dtype, or is written for one."""
    return any(
        (isinstance(node, ast.Assert) and "dtype" in ast.unparse(node))
        or (isinstance(node, ast.Attribute) and node.attr in ("float16", "bfloat16"))
        for node in own_nodes(method.node.body)
    )


def _applied_in(view: View, function: CustomFunction, regions: Regions) -> Region | None:
    found = (regions.around(seen.node) for seen in applications(view, function))
    return next((region for region in found if region is not None and not region.off), None)
