"""AMP224: `custom_bwd` decorates a backward whose forward has no `custom_fwd`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.custom_functions import custom_functions
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP224",
    name="custom-bwd-without-fwd",
    severity=Severity.HIGH,
    summary="`custom_bwd` decorates a backward whose forward has no `custom_fwd`.",
    why=(
        "`custom_bwd` asks the context what `custom_fwd` left there: whether forward ran under autocast, and in which"
        " type. Without it every backward raises AttributeError: no attribute `_fwd_used_autocast`, with autocast or"
        " without."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            class Multiply(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, w):  # expect: AMP224
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                @torch.amp.custom_bwd(device_type="cuda")
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad @ w.t(), x.t() @ grad
        """),
        Bad("""
            from functools import partial
            from torch.autograd import Function
            from torch.amp import custom_bwd

            amp_bwd = partial(custom_bwd, device_type="cuda")

            class Clip(Function):
                @staticmethod
                def forward(ctx, x):  # expect: AMP224
                    ctx.save_for_backward(x)
                    return x.clamp(0, 1)

                @staticmethod
                @amp_bwd
                def backward(ctx, grad):
                    (x,) = ctx.saved_tensors
                    return grad * ((x > 0) & (x < 1))
        """),
        Good("""
            import torch
            from torch.cuda.amp import custom_bwd, custom_fwd

            class Multiply(torch.autograd.Function):
                @staticmethod
                @custom_fwd
                def forward(ctx, x, w):
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                @custom_bwd
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad @ w.t(), x.t() @ grad
        """),
        Good("""
            import torch

            class Remembering(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, w):
                    ctx._dtype = torch.get_autocast_dtype("cuda")
                    ctx._fwd_used_autocast = torch.is_autocast_enabled("cuda")
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                @torch.amp.custom_bwd(device_type="cuda")
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad @ w.t(), x.t() @ grad
        """),
    ),
)


READS = Wanted(every=(b"Function", b"backward"))


def inspect(view: View) -> Iterator[Problem]:
    """Report the forward of such a pair."""
    for function in custom_functions(view):
        forward, backward = function.forward, function.backward
        if backward.by is None or forward.by is not None or not forward.plain or _sets_it_itself(forward.node):
            continue
        yield Problem(
            place=view.place(forward.node),
            message=f"{function.name}.backward is decorated with custom_bwd, but its forward not with custom_fwd",
            why="Every backward raises AttributeError: the context has no `_fwd_used_autocast`.",
            remedy="Decorate forward with `@torch.amp.custom_fwd(device_type=...)`, below `@staticmethod`.",
            related=((view.place(backward.by), "custom_bwd"),),
        )


def _sets_it_itself(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == "_fwd_used_autocast" for part in ast.walk(node))
