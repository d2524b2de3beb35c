"""One operation at one size in all formats: prepared, checked for right numbers, then timed in turn."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amp_runtime.benchmark import intervals, medians
from amp_runtime.benchmark.intervals import Estimate, ratio
from amp_runtime.benchmark.medians import middle
from amp_runtime.calibration.detect import REFUSALS, refusal
from amp_runtime.calibration.formats import FORMATS, Format, multiplying_as
from amp_runtime.calibration.operations.contract import relative_error
from amp_runtime.calibration.timing import Subject, Timing, time_interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from amp_runtime.calibration.operations.contract import Case
    from amp_runtime.calibration.timing import Effort, Timer

HOW = f"{medians.METHOD}; ratios of samples of the same round: {intervals.METHOD}"

_LONG_S = 0.2
# Calls up to so long (others: 0.05 s) are timed at the first size of an operation even beyond the budget: a figure
# of every format is worth more than another size.
_FIRST_S = {"matmul": 0.25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one operation at one size did in one format.

    Args:
        reason: why it was not timed; None where it was.
        failed: it did not run, or its numbers were wrong; False with a reason means that there was no time for it.
        seconds: per call; the median and its interval.
        flops: of one call.
        bytes_moved: by one call.
        relative_error: against FP64 in the 2-norm.
        speedup: FP32's seconds over this format's, from samples of the same round; None where FP32 was not timed.
    """

    precision: str
    dtype: torch.dtype
    flops: int
    bytes_moved: int
    reason: str | None = None
    failed: bool = False
    timing: Timing | None = None
    seconds: Estimate | None = None
    relative_error: float | None = None
    speedup: Estimate | None = None

    @property
    def flops_per_s(self) -> float | None:
        return None if self.seconds is None or not self.flops else self.flops / self.seconds.value

    @property
    def bytes_per_s(self) -> float | None:
        return None if self.seconds is None else self.bytes_moved / self.seconds.value


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCase:
    """An operation at one size and what it did in each format, by their names."""

    case: Case
    measurements: dict[str, Measurement]


class Pace:
    """What a call of an operation costs in a format, by the last size seen, so that hopeless sizes are not begun."""

    def __init__(self) -> None:
        self._seconds_per_unit: dict[tuple[str, str], float] = {}

    def note(self, case: Case, precision: str, seconds: float) -> None:
        """Remember how long one call took."""
        self._seconds_per_unit[case.operation, precision] = seconds / _work(case)

    def expected_s(self, case: Case, precision: str) -> float | None:
        """Return the seconds of one call at the same pace; None before any was measured."""
        pace = self._seconds_per_unit.get((case.operation, precision))
        return None if pace is None else pace * _work(case)


def _work(case: Case) -> int:
    return max(case.flops, case.size)


def measure(
    case: Case, precisions: Sequence[str], device: torch.device, timer: Timer, effort: Effort, pace: Pace
) -> MeasuredCase:
    """Measure a case in those of the formats that it is defined for, in the settings of `calibration_settings`."""
    found: dict[str, Measurement] = {}
    subjects: list[Subject] = []
    errors: dict[str, float] = {}
    for name in (name for name in precisions if name in case.precisions):
        tried = _try(case, FORMATS[name], device, timer, effort, pace)
        if isinstance(tried, Measurement):
            found[name] = tried
        else:
            subject, errors[name] = tried
            subjects.append(subject)
    timings = time_interleaved(subjects, effort, timer)
    for name, error in errors.items():
        number_format, reason = FORMATS[name], timings.left_out.get(name)
        timing, fp32 = timings.timed.get(name), timings.timed.get("fp32")
        found[name] = _measurement(case, number_format, reason=reason, timing=timing, error=error, fp32=fp32)
        if timing is not None:
            pace.note(case, name, min(timing.samples_s))
    return MeasuredCase(case=case, measurements={name: found[name] for name in precisions if name in found})


def _try(
    case: Case, number_format: Format, device: torch.device, timer: Timer, effort: Effort, pace: Pace
) -> Measurement | tuple[Subject, float]:
    """Run the case once and check its numbers; return what to time, or why there is nothing to time."""
    name = number_format.name
    expected = pace.expected_s(case, name)
    if name != "fp32" and expected is not None and expected * effort.least_rounds > 2 * effort.budget_s:
        reason = f"not measured at this size: one call would take about {expected:.2g} s at the pace of a smaller one"
        return _measurement(case, number_format, reason=reason)
    try:
        with multiplying_as(name, device):
            prepared = case.prepare(number_format, device)
            call_s = _one_call_s(prepared.call, timer)
            pace.note(case, name, call_s)
            error = relative_error(*prepared.sampled(prepared.call()))
    except REFUSALS as problem:
        reason = refusal(f"{case.label} in {name}", problem)
        return _measurement(case, number_format, reason=reason, failed=True)
    if not error <= (allowed := number_format.tolerance(case.terms)):
        reason = f"{case.label} in {name} gave wrong numbers: off by {error:.1e} from FP64, more than {allowed:.1e}"
        return _measurement(case, number_format, reason=reason, failed=True, error=error)
    # Only TF32 needs another setting than the one that everything is measured in.
    setting = functools.partial(multiplying_as, name, device) if name == "tf32" else contextlib.nullcontext
    needed = name == "fp32" or (expected is None and call_s <= _FIRST_S.get(case.operation, 0.05))
    return Subject(name=name, call=prepared.call, setting=setting, needed=needed), error


def _one_call_s(call: Callable[[], object], timer: Timer) -> float:
    # The first call also loads libraries, compiles kernels and finds memory.
    first = timer(call, 1)
    return first if first > _LONG_S else min(first, timer(call, 1))


def _measurement(
    case: Case,
    number_format: Format,
    *,
    reason: str | None = None,
    failed: bool = False,
    timing: Timing | None = None,
    error: float | None = None,
    fp32: Timing | None = None,
) -> Measurement:
    return Measurement(
        precision=number_format.name,
        dtype=number_format.dtype,
        flops=case.flops,
        bytes_moved=case.bytes_moved(number_format),
        reason=reason,
        failed=failed,
        timing=timing,
        seconds=None if timing is None else middle(timing.samples_s),
        relative_error=error,
        speedup=None if timing is None or fp32 is None else ratio(fp32.samples_s, timing.samples_s),
    )
