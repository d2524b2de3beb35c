"""AMP406: Parameters are cast after their optimizer was made, and stepped then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import casts_of
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


RULE = RuleInfo(
    code="AMP406",
    name="cast-after-optimizer",
    severity=Severity.HIGH,
    summary="Parameters are cast after their optimizer was made, and stepped then.",
    why=(
        "The optimizer's moments keep the dtype of the first step: the next one raises `expected dtype float for"
        " 'end'` or mixes dtypes. With a GradScaler, float16 gradients are refused."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(net, loader):
                optimizer = torch.optim.AdamW(net.parameters())
                net.to(torch.bfloat16)  # expect: AMP406
                for x in loader:
                    net(x).mean().backward()
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(net, loader):
                net.to(torch.bfloat16)
                optimizer = torch.optim.AdamW(net.parameters())
                for x in loader:
                    net(x).mean().backward()
                    optimizer.step()
                    optimizer.zero_grad()
                net.half()
                return [net(x) for x in loader]
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report the cast, where the optimizer steps with it still in force."""
    for cast in casts_of(event.state, event.optimizer):
        if cast.late and cast.dtype in ("float16", "bfloat16"):
            yield Problem(
                place=cast.place,
                message=f"the parameters of {event.optimizer.label} are cast to {cast.dtype} after it was made",
                remedy="Cast before the optimizer is made; better keep float32 parameters and use autocast.",
                related=((event.place, "the optimizer steps"),),
            )
            return


CHECKS = {Stepped: check}
