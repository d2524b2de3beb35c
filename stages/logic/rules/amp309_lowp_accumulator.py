"""AMP309: A running total is kept in half precision."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP309",
    name="lowp-accumulator",
    severity=Severity.HIGH,
    summary="A running total is kept in half precision.",
    why=(
        "Sums stop growing where what is added is below half a step: bfloat16 stays at 256 and float16 at 2048"
        " when ones are added. The reported loss or count is too small, and nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, w):
                total_loss = 0.0
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = (x @ w - y.bfloat16()).abs().mean()
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    total_loss += loss.detach()  # expect: AMP309
                return total_loss / len(loader)
        """),
        Bad("""
            import torch

            def train(model, train_loader, epochs):
                for epoch in range(epochs):
                    epoch_loss = 0
                    for x in train_loader:
                        with torch.autocast("cuda"):
                            loss = model(x).mean()
                        epoch_loss += loss.detach().half()  # expect: AMP309
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, w, layers):
                total_loss = 0.0
                wide = 0.0
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = (x @ w - y.bfloat16()).abs().mean()
                        both = 0
                        for part in (loss, loss):
                            both += part
                    both.backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    total_loss += loss.item()
                    wide += loss.detach().float()
                return total_loss / len(loader), wide
        """),
    ),
)
_TOTALS = late(r"(?:\w*_)?(?:total|running|sum|acc|epoch|count|correct|train|val|avg|mean)\w*|\w*(?:loss|sum)\w*", re.I)
_LOADERS = late(r"loader|dataset|batches|dataloader", re.I)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report half tensors that are added up over the batches of a loader, from a total that began as a number."""
    for statement, loop in unit.loops.items():
        if not isinstance(statement, ast.AugAssign) or not isinstance(statement.op, ast.Add):
            continue
        target, value = statement.target, unit.at(statement.value)
        if not isinstance(target, ast.Name) or not _TOTALS.fullmatch(target.id) or not _is_over_batches(loop):
            continue
        if unit.at(target).low and value.low and unit.started.get(target, value).dtype == "number":
            yield Problem(
                place=Place(unit.module, statement),
                message=f"`{target.id}` adds up half values over all batches, and stays half itself",
                remedy=f"Write `{target.id} += {ast.unparse(statement.value)}.float()`, or add `.item()`.",
                related=because(unit, statement.value),
            )


def _is_over_batches(loop: ast.AST) -> bool:
    if not isinstance(loop, ast.For):
        return False
    source = loop.iter
    names = [last_name(part) for part in ast.walk(source) if isinstance(part, ast.Name | ast.Attribute)]
    return any(_LOADERS.search(name) for name in names)
