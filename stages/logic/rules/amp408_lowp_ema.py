"""AMP408: A moving average of weights is kept in half precision."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages.logic.engine.events import Called
from stages.logic.engine.precision import cast_of
from stages.logic.engine.values import key_of
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


RULE = RuleInfo(
    code="AMP408",
    name="lowp-ema",
    severity=Severity.CRITICAL,
    summary="A moving average of weights is kept in half precision.",
    why=(
        "With a decay of 0.9999 each step moves the average by a ten-thousandth, which is less than half"
        " precision can add to a number: the average never moves. Measured: 1.0 instead of 1.0018 and 1.0091."
        " Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import copy
            import torch

            def main(loader, decay=0.9999):
                net = torch.nn.Linear(8, 8).to(torch.bfloat16)
                ema = copy.deepcopy(net)  # expect: AMP408
                optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
                for x in loader:
                    net(x).mean().backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    with torch.no_grad():
                        for old, new in zip(ema.parameters(), net.parameters()):
                            old.lerp_(new, 1 - decay)
        """),
        Bad("""
            import torch
            from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

            def main(net, loader):
                net = net.half()
                averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.999))  # expect: AMP408
                optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
                for x in loader:
                    net(x).mean().backward()
                    optimizer.step()
                    averaged.update_parameters(net)
        """),
        Good("""
            import copy
            import torch

            def main(loader, decay=0.9999):
                net = torch.nn.Linear(8, 8).to(torch.bfloat16)
                ema = copy.deepcopy(net).float()
                ema_later = copy.deepcopy(net)
                ema_later.float()
                best = copy.deepcopy(net)
                wide = torch.nn.Linear(8, 8)
                ema_wide = copy.deepcopy(wide)
                optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
                for x in loader:
                    net(x).mean().backward()
                    optimizer.step()
                    optimizer.zero_grad()
                return ema, ema_later, best, ema_wide
        """),
    ),
)
_COPIES = ("copy.deepcopy", "torch.optim.swa_utils.AveragedModel")
_AVERAGES = late(r"(?:\w*_)?(?:ema|averaged?|shadow|swa|polyak)(?:_\w*)?|\w*(?:_ema|ema_)\w*", re.I)


def check(event: Called) -> Iterator[Problem]:
    """Report a copy of a half model that is named as an average and stays half."""
    if event.name not in _COPIES or not event.args:
        return
    cast = cast_of(event.state, key_of(event.args[0]))
    if cast is None or cast.dtype not in ("float16", "bfloat16"):
        return
    name = _bound_to(event)
    if name is None or not (event.name.endswith("AveragedModel") or _AVERAGES.fullmatch(name)):
        return
    text = "\n".join(event.place.module.lines)
    if re.search(rf"\b{re.escape(name)}\.(?:float|double|to)\(", text):
        return
    yield Problem(
        place=event.place,
        message=f"`{name}` averages weights in {cast.dtype}, where a small step rounds to none",
        remedy=f"Keep the average in float32: `{name} = copy.deepcopy(model).float()`.",
        related=((cast.place, f"the weights become {cast.dtype}"),),
    )


def _bound_to(event: Called) -> str | None:
    """Return the name that the copy itself is assigned to; None where a method of it, such as `float`, is called."""
    parents = event.place.module.scopes.parents
    parent = parents.get(event.place.node)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        return last_name(parent.targets[0]) or None
    return None


CHECKS = {Called: check}
