"""Train in FP32 and under AMP from the same seeds for the same steps, and compare what the workload says of both."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..benchmark import intervals
from ..wire import Estimated, NotMeasured, Validated
from .failure import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..wire import MeasureUnit
    from .child import Reporter

METHOD = "AMP less FP32 after the same steps from the same seed, each validated in its own precision"
_COMPARED = {"accuracy": ("accuracy-difference", "share"), "loss": ("loss-difference", "nats")}
_now = time.perf_counter


def validate(unit: MeasureUnit, make: Callable[..., Any], reporter: Reporter) -> None:
    """Report both from each seed while the time lasts, and the differences over all of them."""
    begin, seen = _now(), []
    for seed in unit.seeds:
        pair = [_trained(make(amp, seed), f"{mode}, seed {seed}", unit.steps, reporter) for mode, amp in _MODES]
        seen.append(Validated(seed=seed, steps=unit.steps, fp32=pair[0], amp=pair[1]))
        reporter.item(seen[-1])
        if _now() - begin > unit.quality_s:
            break
    for name, (what, unit_name) in _COMPARED.items():
        reporter.item(_estimated(name, what, unit_name, seen))


_MODES = (("FP32", False), ("AMP", True))


def _trained(training: Any, doing: str, steps: int, reporter: Reporter) -> dict[str, float]:
    """Return the finite figures of `evaluate()` after so many steps; none where there is no such method."""
    if not callable(getattr(training, "evaluate", None)):
        return {}
    for number in range(1, steps + 1):
        reporter.phase(f"training to compare, {doing}, step {number} of {steps}")
        training.step()
    reporter.phase(f"evaluate(), {doing}")
    metrics = training.evaluate()
    if not isinstance(metrics, Mapping):
        return {}
    figures = {safe_text(name): float(value) for name, value in metrics.items() if isinstance(value, numbers.Real)}
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _estimated(name: str, what: str, unit: str, seen: Sequence[Validated]) -> Estimated | NotMeasured:
    differences = [one.amp[name] - one.fp32[name] for one in seen if name in one.amp and name in one.fp32]
    if len(differences) < len(seen) or not differences:
        got = f"evaluate() gave a finite {name!r} in both modes for {len(differences)} of {len(seen)} seeds"
        return NotMeasured(what=what, reason=got)
    found = intervals.centre(differences)
    return Estimated(
        what=what,
        value=found.value,
        low=found.low,
        high=found.high,
        confidence=found.confidence,
        samples=found.samples,
        unit=unit,
        method=f"{METHOD}, {seen[0].steps} steps; {intervals.METHOD}",
    )
