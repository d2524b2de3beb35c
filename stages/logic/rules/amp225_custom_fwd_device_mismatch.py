"""AMP225: `custom_fwd` or `custom_bwd` is for another device than the one autocast is on for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.custom_functions import applications, custom_functions
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.custom_functions import CustomFunction
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP225",
    name="custom-fwd-device-mismatch",
    severity=Severity.HIGH,
    summary="`custom_fwd` or `custom_bwd` is for another device than the one autocast is on for.",
    why=(
        "The decorators ask whether autocast is on for their own device type. For another one it is off, so"
        " `cast_inputs` casts nothing and backward runs outside of autocast: silent low precision in forward, or"
        " mixed types in backward. It happens where code for CUDA is ported and one of the names stays."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from torch.amp import custom_bwd, custom_fwd

            class Multiply(torch.autograd.Function):
                @staticmethod
                @custom_fwd(device_type="xpu")
                def forward(ctx, x, w):
                    ctx.save_for_backward(x, w)
                    return x @ w

                @staticmethod
                @custom_bwd(device_type="cuda")  # expect: AMP225
                def backward(ctx, grad):
                    x, w = ctx.saved_tensors
                    return grad @ w.t(), x.t() @ grad
        """),
        Bad("""
            import torch
            from torch.cuda.amp import custom_bwd, custom_fwd

            class Exact(torch.autograd.Function):
                @staticmethod
                @custom_fwd(cast_inputs=torch.float32)  # expect: AMP225
                def forward(ctx, x):
                    ctx.save_for_backward(x)
                    return x.exp()

                @staticmethod
                @custom_bwd
                def backward(ctx, grad):
                    (x,) = ctx.saved_tensors
                    return grad * x.exp()

            def run(layer, x):
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    return Exact.apply(layer(x))
        """),
        Good("""
            import torch
            from torch.amp import custom_bwd, custom_fwd

            class Exact(torch.autograd.Function):
                @staticmethod
                @custom_fwd(device_type="cuda", cast_inputs=torch.float32)
                def forward(ctx, x):
                    ctx.save_for_backward(x)
                    return x.exp()

                @staticmethod
                @custom_bwd(device_type="cuda")
                def backward(ctx, grad):
                    (x,) = ctx.saved_tensors
                    return grad * x.exp()

            def run(layer, x, device):
                with torch.autocast(device):
                    first = Exact.apply(layer(x))
                with torch.autocast("cuda"):
                    return first + Exact.apply(layer(x))
        """),
    ),
)


READS = Wanted(every=(b"Function", b"backward"))


def inspect(view: View) -> Iterator[Problem]:
    """Report pairs that disagree, and functions that run under autocast for another device."""
    for function in custom_functions(view):
        forward, backward = function.forward, function.backward
        if forward.device and backward.device and forward.device != backward.device and backward.by is not None:
            yield Problem(
                place=view.place(backward.by),
                message=f"{function.name} declares {forward.device} for forward and {backward.device} for backward",
                why=f"Backward runs with autocast for {backward.device}, so that of forward's device is not restored.",
                remedy=f'Write `device_type="{forward.device}"` on both, or the one that the tensors are on.',
                related=((view.place(forward.by), "custom_fwd"),) if forward.by is not None else (),
            )
        else:
            yield from _applied_elsewhere(view, function)


def _applied_elsewhere(view: View, function: CustomFunction) -> Iterator[Problem]:
    forward = function.forward
    if forward.device is None or forward.by is None:
        return
    regions = Regions(view)
    for seen in applications(view, function):
        region = regions.around(seen.node)
        if region is None or region.off or region.device in (None, forward.device):
            continue
        yield Problem(
            place=view.place(forward.by),
            message=f"{function.name} is declared for {forward.device} and runs under autocast for {region.device}",
            why="For its own device autocast is off there: `cast_inputs` casts nothing, backward runs without it.",
            remedy=f'Write `device_type="{region.device}"` on forward and backward.',
            related=((view.place(seen.node), f"applied under autocast for {region.device}"),),
        )
        return
