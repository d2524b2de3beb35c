"""AMP411: trained parameters of one optimizer have different floating-point dtypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.testfiles import is_test_file
from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import cast_of, casts_of_parts
from stages.logic.masters import trains_a_part
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP411",
    name="mixed-param-dtypes",
    severity=Severity.HIGH,
    summary="Trained parameters of one optimizer have different floating-point dtypes.",
    why=(
        "Where a part of the model is float16 the scaler refuses its gradients; where it is bfloat16 that part "
        "trains with other rounding than the rest, and no one is told."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, criterion):
                model.encoder.half()  # expect: AMP411
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch

            def train(model, loader, criterion):
                model.encoder.to(torch.bfloat16)  # expect: AMP411
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    criterion(model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def frozen(model, loader, criterion):
                model.encoder.half()
                model.encoder.requires_grad_(False)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    criterion(model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def of_the_head(model, loader, criterion):
                model.encoder.half()
                optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
                for x, y in loader:
                    criterion(model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()

            def as_a_whole(model, loader, criterion):
                model.encoder.bfloat16()
                model = model.bfloat16()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
                    criterion(model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()
        """),
    ),
)
_HALF = ("float16", "bfloat16")


def check(event: Stepped) -> Iterator[Problem]:
    """Report a step over all parameters of a model of which a part was cast to half."""
    optimizer, scaler = event.optimizer, event.scaler
    if optimizer.prepared or is_test_file(event.place.module.path):
        return
    known = event.state.known.get(optimizer.key, optimizer)
    if any(cast_of(event.state, owner) is not None for owner in known.owners):
        return
    for part in casts_of_parts(event.state, optimizer):
        if part.dtype in _HALF and not part.late and not trains_a_part(part.place.module):
            refused = part.dtype == "float16" and scaler is not None and scaler.enabled is True
            yield Problem(
                place=part.place,
                message=f"a part of what {optimizer.label} steps becomes {part.dtype} here, the rest does not",
                remedy="Keep all parameters in float32 and let autocast cast, or freeze the part.",
                related=((event.place, "all of them are stepped"),),
                scaler=scaler,
                suspicion=not refused,
            )
            return


CHECKS = {Stepped: check}
