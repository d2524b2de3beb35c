"""AMP403: parameters are stored and updated in bfloat16, so that small updates round to nothing."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.testfiles import is_test_file
from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import casts_of
from stages.logic.masters import trains_a_part
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module

RULE = RuleInfo(
    code="AMP403",
    name="pure-bf16-no-master",
    severity=Severity.HIGH,
    summary="Parameters are stored and updated in bfloat16, so that small updates round to nothing.",
    why=(
        "bfloat16 keeps eight bits. Measured with AdamW after 100 steps: 93.6 % of the weights are bit-"
        "identical at a learning rate of 1e-5, 47 % at 1e-4, 0.1 % at 1e-3. The remedy is a float32 master "
        "copy, stochastic rounding or Kahan summation."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def tune(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().to(torch.bfloat16)  # expect: AMP403
                optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
                for x, y in loader:
                    criterion(model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch
            from transformers import AutoModelForCausalLM

            def tune(name, loader, lr):
                model = AutoModelForCausalLM.from_pretrained(name, torch_dtype=torch.bfloat16)  # expect: AMP403
                optimizer = torch.optim.Adam(model.parameters(), lr=lr)
                for batch in loader:
                    model(**batch).loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def coarse(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().bfloat16()
                optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
                usual = torch.optim.AdamW(model.parameters())
                for x, y in loader:
                    criterion(model(x), y).backward()
                    optimizer.step()
                    usual.step()
                    optimizer.zero_grad()

            def by_gradient(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().bfloat16()
                optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)  # its updates are as large as gradients are
                for x, y in loader:
                    criterion(model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()

            def with_autocast(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda()
                optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch
            from optimi import AdamW

            def tune(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().to(torch.bfloat16)
                optimizer = AdamW(model.parameters(), lr=1e-5)  # sums with Kahan's compensation
                for x, y in loader:
                    criterion(model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()
        """),
    ),
)
_ADAMS = late(r"torch\.optim\.(?:\w+\.)?(?:Adam|AdamW|NAdam|RAdam|Adamax)")
_KEEPS_MORE = late(r"stochastic_round|kahan|master_(?:weight|param|copy)|fp32_(?:param|copy|master)", re.I)
_SMALL = 1e-4  # half of the weights stay as they are at this rate
_DEFAULT = 1e-3


def check(event: Stepped) -> Iterator[Problem]:
    """Report a plain step of Adam over bfloat16 parameters at a small learning rate."""
    optimizer = event.optimizer
    if (event.scaler is not None and event.scaler.enabled) or optimizer.prepared:
        return
    if not _ADAMS.fullmatch(optimizer.cls) or is_test_file(event.place.module.path):
        return
    rate = _rate(optimizer.site)
    if rate is not None and rate > _SMALL:
        return
    for cast in casts_of(event.state, optimizer):
        if cast.dtype == "bfloat16" and not cast.late:
            where = f"a rate of {rate:g}" if rate is not None else "a rate that is not in sight"
            yield Problem(
                place=cast.place,
                message=f"{optimizer.label} updates bfloat16 parameters, at {where}",
                why="An update below one part in 512 of a weight rounds to none: most weights stay as they are.",
                remedy="Keep the parameters in float32 under autocast, or use an optimizer with float32 masters.",
                related=((event.place, "the parameters are updated in bfloat16"),),
                suspicion=rate is None or any(map(_may_keep_more, (cast.place.module, event.place.module))),
            )
            return


def _rate(site: ast.AST | None) -> float | None:
    """Return the learning rate that the constructor is given, or its default; None where it is not a literal."""
    if not isinstance(site, ast.Call) or any(item.arg is None for item in site.keywords):
        return None
    given = next((item.value for item in site.keywords if item.arg == "lr"), site.args[1] if site.args[1:] else None)
    if given is None:
        return _DEFAULT
    number = given.value if isinstance(given, ast.Constant) else None
    return float(number) if isinstance(number, int | float) else None


def _may_keep_more(module: Module) -> bool:
    """Say whether other parameters may be trained than those that are cast, or something is kept beside them."""
    return trains_a_part(module) or any(_KEEPS_MORE.search(line) for line in module.lines)


CHECKS = {Stepped: check}
