"""AMP701: a file uses names of torch.cuda.amp or torch.cpu.amp that torch.amp has replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.deprecated_uses import deprecated_imports, deprecated_uses
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP701",
    name="deprecated-amp-namespace",
    severity=Severity.LOW,
    summary="A file uses names of torch.cuda.amp or torch.cpu.amp that torch.amp has replaced.",
    why=(
        "They warn since torch 2.4 on every use. The new constructors take the device first, so putting it in front of"
        " positional arguments breaks them: `autocast(use_amp)` is written `autocast('cuda', enabled=use_amp)`."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, use_amp):
                scaler = torch.cuda.amp.GradScaler(enabled=use_amp)  # expect: AMP701
                for x, y in loader:
                    with torch.cuda.amp.autocast(use_amp, torch.float16):
                        loss = model(x, y)
                    scaler.scale(loss).backward()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast, custom_bwd, custom_fwd  # expect: AMP701

            class Square(torch.autograd.Function):
                @staticmethod
                @custom_fwd(cast_inputs=torch.float32)
                def forward(ctx, x):
                    ctx.save_for_backward(x)
                    return x * x

                @staticmethod
                @custom_bwd
                def backward(ctx, grad):
                    return 2 * ctx.saved_tensors[0] * grad

            def run(x):
                with autocast():
                    return Square.apply(x)
        """),
        Good("""
            import torch
            from torch.amp import GradScaler, autocast

            def train(model, loader, use_amp):
                scaler = GradScaler("cuda", enabled=use_amp)
                for x, y in loader:
                    with autocast("cuda", enabled=use_amp):
                        loss = model(x, y)
                    scaler.scale(loss).backward()
                return torch.is_autocast_enabled()
        """),
        Good("""
            import torch

            try:
                from torch.amp import GradScaler
            except ImportError:
                from torch.cuda.amp import GradScaler

            if hasattr(torch.amp, "custom_fwd"):
                custom_fwd = torch.amp.custom_fwd
            else:
                custom_fwd = torch.cuda.amp.custom_fwd

            scaler = GradScaler(enabled=torch.cuda.is_available())
        """),
    ),
)

_SINCE = (2, 4)


READS = Wanted(some=(b"autocast", b"GradScaler", b"custom_fwd", b"custom_bwd"))


def inspect(view: View) -> Iterator[Problem]:
    """Report a file once, at the first place, and list the others."""
    before = view.torch.before
    if before is not None and before <= _SINCE:
        return
    places = sorted(
        deprecated_imports(view) + deprecated_uses(view), key=lambda item: (item[0].lineno, item[0].col_offset)
    )
    if not places:
        return
    names = sorted({name for _, name, _ in places})
    count = "once" if len(places) == 1 else f"in {len(places)} places"
    yield Problem(
        place=view.place(places[0][0]),
        message=f"deprecated since torch 2.4, used {count}: {', '.join(names)}",
        why="Each use warns. The warning's own advice is wrong where an argument stands by position.",
        remedy=f"Write {places[0][2]}.",
        related=tuple((view.place(node), text) for node, _, text in places[1:]),
    )
