"""Measure a workload whose model is compiled, in FP32 and under AMP, against the same without."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from ..wire import NotMeasured, Prepared
from .failure import safe_text
from .timing import time_modes, wanted_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire import MeasureUnit, Mode
    from .child import Reporter

WHAT = "compile-speedup"
_now = time.perf_counter


def time_compiled(
    unit: MeasureUnit,
    make: Callable[[bool], Any],
    eager: tuple[Callable[[], object], Callable[[], object]],
    device: str,
    reporter: Reporter,
) -> None:
    """Report what compiling costs and brings; where it does not work, why. `eager`: the steps in FP32, under AMP."""
    torch = sys.modules.get("torch")
    if torch is None:
        reporter.item(NotMeasured(what=WHAT, reason="the workload does not train with torch"))
        return
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # or workers of the compiler outlive the measurement
    modes: tuple[tuple[Mode, Mode, float | None], ...] = (
        ("amp", "amp-compiled", wanted_on(device, unit.compile_speedup)),
        ("fp32", "fp32-compiled", None),
    )
    for plain, compiled, gain in modes:
        step = _compiled(compiled, make, torch, reporter)
        if step is None:
            return
        reporter.phase(f"steps {plain} and {compiled}, in turn")
        reporter.item(time_modes((plain, compiled), (eager[plain == "amp"], step), gain, unit, device))


def _compiled(mode: Mode, make: Callable[[bool], Any], torch: Any, reporter: Reporter) -> Callable[[], object] | None:
    """Build the workload, compile its model, and take the first step, in which the compiler works."""
    reporter.phase(f"compiling the workload, {mode}")
    begin = _now()
    training = make(mode.startswith("amp"))
    build_s = _now() - begin
    model = getattr(training, "model", None)
    if not isinstance(model, torch.nn.Module):
        reporter.item(NotMeasured(what=WHAT, reason="the workload has no `model` that is a torch.nn.Module"))
        return None
    torch.compiler.reset()  # or code that another mode compiled would be found
    graphs = _graphs(torch)
    begin = _now()
    try:
        model.compile()
        training.step()
    except Exception as error:  # whatever a compiler raises
        text = safe_text(error).strip().splitlines()
        reason = f"torch.compile failed, {mode}: {type(error).__name__}: {text[0] if text else ''}"
        reporter.item(NotMeasured(what=WHAT, reason=reason))
        return None
    if _graphs(torch) == graphs:
        reporter.item(NotMeasured(what=WHAT, reason=f"torch.compile found nothing in the model to compile, {mode}"))
        return None
    reporter.item(Prepared(mode=mode, import_s=0.0, build_s=build_s, first_step_s=_now() - begin))
    step: Callable[[], object] = training.step
    return step


def _graphs(torch: Any) -> int:
    """Return how many graphs torch.compile has captured in this process."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])
