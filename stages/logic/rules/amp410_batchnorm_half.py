"""AMP410: A model with batch normalization is trained in half precision."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import casts_of
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


RULE = RuleInfo(
    code="AMP410",
    name="batchnorm-half",
    severity=Severity.MEDIUM,
    summary="A model with batch normalization is trained in half precision.",
    why=(
        "The running statistics are half then: they round by a thousandth, stop following small changes, and a"
        " variance beyond 65504 is infinite in float16."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from torch import nn

            def train(loader, criterion):
                model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).cuda().half()  # expect: AMP410
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x.half()), y).backward()
                    optimizer.step()
        """),
        Good("""
            import torch
            from torch import nn

            def train(loader, criterion):
                model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).cuda().half()
                for module in model.modules():
                    if isinstance(module, nn.BatchNorm2d):
                        module.float()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x.half()), y).backward()
                    optimizer.step()
        """),
        Good("""
            import torch
            from torch import nn

            def evaluate(loader):
                model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).cuda().half()
                return [model(x.half()) for x in loader]

            def train(loader):
                model = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8)).cuda().bfloat16()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x in loader:
                    optimizer.zero_grad()
                    model(x).mean().backward()
                    optimizer.step()
        """),
    ),
)
_NORMS = late(r"\b(?:BatchNorm[123]d|SyncBatchNorm)\b")
_KEPT = late(r"isinstance\([^)]*BatchNorm")


def check(event: Stepped) -> Iterator[Problem]:
    """Report the cast of a model whose own expression has batch normalization in it, where it is trained then."""
    for cast in casts_of(event.state, event.optimizer):
        if cast.dtype not in ("float16", "bfloat16"):
            continue
        module = cast.place.module
        if _NORMS.search(ast.unparse(cast.place.node)) and not any(_KEPT.search(line) for line in module.lines):
            yield Problem(
                place=cast.place,
                message=f"batch normalization is cast to {cast.dtype} with the model that is trained",
                remedy="Keep the model in float32 and use autocast, or cast its BatchNorm modules back.",
                related=((event.place, "the optimizer steps"),),
            )
            return


CHECKS = {Stepped: check}
