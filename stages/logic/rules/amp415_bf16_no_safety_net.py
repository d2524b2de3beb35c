"""AMP415: a bfloat16 training has nothing that skips a step with non-finite gradients."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stages._source.testfiles import is_test_file
from stages.logic.casting import forward_of
from stages.logic.engine.events import Clipped
from stages.logic.engine.values import Const, Scaler
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP415",
    name="bf16-no-safety-net",
    severity=Severity.MEDIUM,
    summary="A bfloat16 training has nothing that skips a step with non-finite gradients.",
    why=(
        "Without a scaler no step is skipped. One infinite gradient makes the norm infinite, and clipping turns it "
        "into 0 times infinity: the weight is NaN, and from there the whole model. Skip the step when the norm is not "
        "finite. Whether such a gradient ever comes only a run shows: the code alone gives a hint."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # expect: AMP415
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    loss.backward()
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if torch.isfinite(norm):
                        optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def scaled(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()

            def measured(model, loader, optimizer, criterion):
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
                    torch.nn.utils.clip_grad_value_(model.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad()
        """),
    ),
)
_NORMS = re.compile(r"clip_grad_norm_?|clip_grads_with_norm_")
_ASKED = re.compile(r"isfinite|is_finite|isnan|isinf|error_if_nonfinite|nan_to_num|skip_nan|detect_anomaly|found_inf")


def check(event: Clipped) -> Iterator[Problem]:
    """Point out clipping by the norm behind a bfloat16 forward, in a file that nowhere asks for finite numbers."""
    if event.by is not None or event.error_if_nonfinite or event.guessed or not _NORMS.fullmatch(event.how):
        return
    if is_test_file(event.place.module.path) or (isinstance(event.limit, Const) and event.limit.value == float("inf")):
        return
    forward = forward_of(event.state)
    if forward is None or forward.context.dtype != "bfloat16" or _has_scaler(event):
        return
    if any(_ASKED.search(line) for line in event.place.module.lines):
        return
    yield Problem(
        place=event.place,
        message="one infinite gradient makes every weight NaN here: nothing asks for it, and there is no scaler",
        remedy="Keep the norm that this returns, and leave the step out where it is not finite.",
        related=((forward.place, "autocast to bfloat16"),),
        severity=Severity.INFO,
    )


def _has_scaler(event: Clipped) -> bool:
    values = (*event.state.env.values(), *event.state.heap.values())
    return any(isinstance(value, Scaler) and value.enabled is not False for value in values)


CHECKS = {Clipped: check}
