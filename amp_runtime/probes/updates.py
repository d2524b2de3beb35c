"""Compare a workload's updates in FP32 and under AMP, and a resumed run of it with a straight one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..wire import Rejected
from .factories import find_factory, precision_of, seed_generators

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire import WorkloadUnit
    from .child import Reporter

_LOW = {"fp16": "float16", "float16": "float16", "bf16": "bfloat16", "bfloat16": "bfloat16"}


def compare_runs(workload: WorkloadUnit, root: str, startup: frozenset[str], reporter: Reporter) -> None:
    """Report both comparisons, as far as the workload allows them: one in FP32 alone has no updates to compare."""
    factory, path, line = find_factory(workload, root, startup, reporter)
    if not callable(factory):
        reporter.item(Rejected(message=f"{workload.factory} cannot be called", path=path, line=line))
        return
    torch = sys.modules.get("torch")
    if torch is None:  # it does not train with torch
        return

    from ..instrument.resume import check_resume  # noqa: PLC0415
    from ..instrument.updates.check import compare_updates  # noqa: PLC0415

    def make(amp: bool) -> Any:
        seed_generators(workload.seed)
        return factory(amp=amp, seed=workload.seed)

    reporter.phase(f"building {workload.factory}(amp=True, seed={workload.seed})")
    made = make(True)
    low = _LOW.get(precision_of(made) or "")
    if low is not None:
        reporter.phase("training under AMP, in FP32, and in FP32 with rounding noise")
        reporter.item(compare_updates(_steps(make), getattr(torch, low), steps=workload.steps))
    if callable(getattr(made, "state_dict", None)) and callable(getattr(made, "load_state_dict", None)):
        reporter.phase("saving a run and resuming it")
        reporter.item(check_resume(lambda: make(True), steps=max(1, workload.steps // 2), seed=workload.seed))


def _steps(make: Callable[[bool], Any]) -> Callable[[bool], Callable[[], float]]:
    """Return what makes the workload and gives its step."""

    def step_of(amp: bool) -> Callable[[], float]:
        step: Callable[[], float] = make(amp).step
        return step

    return step_of
