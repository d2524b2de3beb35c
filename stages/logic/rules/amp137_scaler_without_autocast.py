"""AMP137: a project scales its loss, but nothing in it runs in half precision."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted
from stages.logic.checkpoints import sounds_like_scaler
from stages.logic.constructors import scalers
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP137",
    name="scaler-without-autocast",
    severity=Severity.LOW,
    summary="A file scales its loss, but nothing that it reaches runs in half precision.",
    why=(
        "In float32 nothing underflows, so the scaler only costs a synchronisation in every step and skips a step each"
        " time it tries a scale that is too large. Mostly the autocast context was forgotten."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")  # expect: AMP137
                for batch in loader:
                    optimizer.zero_grad()
                    loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            # --- train.py
            import torch
            from model import Net

            def train(loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                model = Net()
                for batch in loader:
                    scaler.scale(model(batch)).backward()
                    scaler.step(optimizer)
                    scaler.update()
            # --- model.py
            import torch

            class Net(torch.nn.Linear):
                def forward(self, x):
                    with torch.autocast("cuda"):
                        return super().forward(x)
        """),
        Good("""
            import torch

            def build():
                return torch.amp.GradScaler("cuda")
        """),
    ),
)

_HALF = late(
    r"autocast|\.half\(|float16|fp16|bf16|FSDP|FullyShardedDataParallel|deepspeed|mixed|precision|tinycudann|tcnn", re.I
)


READS = Wanted(every=(b"caler",))


def inspect(view: View) -> Iterator[Problem]:
    """Report the scalers of a file that steps with them, where no file read so far speaks of half precision."""
    calls = [seen.node for seen in view.calls() if isinstance(seen.node, ast.Call)]
    if not any(_scales(call) for call in calls) or _speaks_of_half(view):
        return
    for seen in view.calls():
        assert isinstance(seen.node, ast.Call)
        if scalers(view.origins(seen.node.func, seen.scope)):
            yield Problem(
                place=view.place(seen.node),
                message="this scaler scales a loss that is computed in float32: there is no autocast context",
                why="Scaling float32 gradients gains nothing, and steps are skipped while the scale is too large.",
                remedy='Compute the loss under `torch.autocast("cuda")`, or drop the scaler.',
            )
            return


def _scales(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "scale" and sounds_like_scaler(call.func.value)


def _speaks_of_half(view: View) -> bool:
    return any(_HALF.search(line) for module in view.project.modules for line in module.lines)
