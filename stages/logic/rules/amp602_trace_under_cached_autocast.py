"""AMP602: a model is traced inside an autocast context that caches cast weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.contexts import autocasting, outermost
from stages.logic.engine.events import Called
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP602",
    name="trace-under-cached-autocast",
    severity=Severity.MEDIUM,
    summary="A model is traced inside an autocast context that caches cast weights.",
    why=(
        "Tracing runs the model more than once. From the second time on its weights come out of autocast's cache, where"
        " the trace sees constants that require a gradient, and it raises RuntimeError, under no_grad too."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def export(model, example):
                model.eval()
                with torch.no_grad(), torch.autocast("cuda", dtype=torch.float16):
                    traced = torch.jit.trace(model, example)  # expect: AMP602
                return torch.jit.freeze(traced)
        """),
        Good("""
            import torch

            def export(model, example):
                model.eval()
                with torch.no_grad(), torch.autocast("cuda", dtype=torch.float16, cache_enabled=False):
                    traced = torch.jit.trace(model, example)
                with torch.autocast("cuda", enabled=False):
                    plain = torch.jit.trace(model, example)
                return torch.jit.freeze(traced), plain, torch.jit.script(model)
        """),
    ),
)


def check(event: Called) -> Iterator[Problem]:
    """Report the trace where autocast is on and caches."""
    if event.name not in ("torch.jit.trace", "torch.jit.trace_module") or autocasting(event.state) is None:
        return
    active = outermost(event.state)
    if active is not None:
        yield Problem(
            place=event.place,
            message="a model is traced under autocast, which caches its cast weights",
            why="It raises RuntimeError: cannot insert a Tensor that requires grad as a constant.",
            remedy="Enter autocast with `cache_enabled=False` for the trace.",
            related=((active.place, "autocast is entered"),),
        )


CHECKS = {Called: check}
