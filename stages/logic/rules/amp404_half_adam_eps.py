"""AMP404: Adam steps float16 parameters with an eps that is 0 in float16."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import casts_of
from stages.logic.masters import trains_a_part
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


RULE = RuleInfo(
    code="AMP404",
    name="half-adam-eps",
    severity=Severity.CRITICAL,
    summary="Adam steps float16 parameters with an eps that is 0 in float16.",
    why=(
        "Adam's eps of 1e-8 rounds to 0 in float16: where a gradient is 0 or its square rounds to 0, the update"
        " is 0 / 0, and the weights are NaN after the first step."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().half()
                optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x.half()), y).backward()
                    optimizer.step()  # expect: AMP404
        """),
        Good("""
            import torch

            def train(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().half()
                optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-4)
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x.half()), y).backward()
                    optimizer.step()

            def plain(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().half()
                optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x.half()), y).backward()
                    optimizer.step()

            def in_bfloat16(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().bfloat16()
                optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
        """),
    ),
)
_ADAMS = late(r"torch\.optim\.(?:\w+\.)?(?:Adam|AdamW|NAdam|RAdam|Adamax)")
_ENOUGH = 1e-7


def check(event: Stepped) -> Iterator[Problem]:
    """Report a plain step of Adam over float16 parameters whose eps float16 cannot hold."""
    optimizer = event.optimizer
    if (event.scaler is not None and event.scaler.enabled) or optimizer.fused or optimizer.prepared:
        return
    if not _ADAMS.fullmatch(optimizer.cls) or not _has_tiny_eps(optimizer.site):
        return
    for cast in casts_of(event.state, optimizer):
        if cast.dtype == "float16" and not cast.late:
            yield Problem(
                place=event.place,
                message=f"{optimizer.label} steps float16 parameters with an eps that is 0 in float16",
                remedy="Keep the parameters in float32 under autocast, or pass `eps=1e-4`.",
                related=((cast.place, "the parameters become float16"),),
                suspicion=trains_a_part(cast.place.module) or trains_a_part(event.place.module),
            )
            return


def _has_tiny_eps(site: ast.AST | None) -> bool:
    """Say whether the constructor leaves eps at its default of 1e-8, or is given such a number."""
    if not isinstance(site, ast.Call) or any(item.arg is None for item in site.keywords) or len(site.args) > 3:
        return False
    for keyword in site.keywords:
        if keyword.arg == "eps":
            value = keyword.value
            number = value.value if isinstance(value, ast.Constant) else None
            return isinstance(number, int | float) and number < _ENOUGH
    return True


CHECKS = {Stepped: check}
