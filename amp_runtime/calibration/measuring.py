"""One calibration from beginning to end: what is tried, in which order, and how the time is shared out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from amp_runtime.calibration.detect import Detection, detect
from amp_runtime.calibration.drift import Drift, ReferenceKernel
from amp_runtime.calibration.formats import PRECISIONS
from amp_runtime.calibration.fusing import FusedMeasurement, measure_fusion
from amp_runtime.calibration.measurement import MeasuredCase, Pace, measure
from amp_runtime.calibration.operations import FUSION, OPERATIONS, cases_of
from amp_runtime.calibration.operations.contract import Scale
from amp_runtime.calibration.operations.fused import PATTERN_PRECISIONS, patterns
from amp_runtime.calibration.settings import calibration_settings
from amp_runtime.calibration.surroundings import (
    Condition,
    LoadMeter,
    OtherLoad,
    Threads,
    condition_of,
    free_memory_bytes,
    last_level_cache_bytes,
    thread_settings,
)
from amp_runtime.calibration.timing import Effort, Timer, timer_for
from amp_runtime.device import require_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from amp_runtime.calibration.operations.contract import Case
    from amp_runtime.calibration.operations.fused import Fusion

QUICK_BUDGET_S = 30.0
FULL_BUDGET_S = 210.0
_LEAST_SHARE_S = 0.4
_WEIGHTS = {"matmul": 2.0, "memory_copy": 2.0, "memory_triad": 2.0}  # the roofline rests on these
_FUSION_WEIGHT = 0.5  # one format only
_TIMED_SHARE = 0.6  # of a share; the rest goes to operands, references, first calls and warming up


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be measured.

    Args:
        budget_s: for everything after detection; what does not fit is left out with that as the reason.
        compiled: also fuse with `torch.compile`, which takes long.
        cases: in place of those of `operations`.
    """

    operations: tuple[str, ...] = OPERATIONS
    precisions: tuple[str, ...] = PRECISIONS
    quick: bool = False
    compiled: bool = False
    threads: int | None = None
    budget_s: float | None = None
    cases: tuple[Case, ...] | None = None

    def __post_init__(self) -> None:
        for kind, given, known in (
            ("operation", self.operations, OPERATIONS),
            ("precision", self.precisions, PRECISIONS),
        ):
            if unknown := [name for name in given if name not in known]:
                raise ValueError(f"{kind} {unknown[0]!r} is not known; use some of {', '.join(known)}")
            if not given:
                raise ValueError(f"at least one {kind} is needed: some of {', '.join(known)}")

    @property
    def seconds(self) -> float:
        if self.budget_s is not None:
            return self.budget_s
        return QUICK_BUDGET_S if self.quick else FULL_BUDGET_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that was measured, and under which circumstances."""

    device: torch.device
    detections: dict[str, Detection]
    cases: tuple[MeasuredCase, ...]
    fusions: tuple[FusedMeasurement, ...]
    drift: Drift
    load: OtherLoad
    threads: Threads
    conditions: tuple[Condition, Condition]
    duration_s: float


def measure_all(
    device: str | torch.device,
    plan: Plan,
    progress: Callable[[str, float], object] = lambda _what, _share: None,
    *,
    timer: Timer | None = None,
) -> Findings:
    """Detect formats, then measure every case and pattern in those that work; see `calibration_settings` for modes.

    Args:
        progress: is told what comes next and what share of it all is done.

    Raises:
        ValueError: the device is not there.
    """
    where = torch.device(device)
    require_device(where)
    run = _Run(where, plan, progress, timer or timer_for(where))
    with calibration_settings(where, plan.threads):
        return run.measure()


class _Run:
    def __init__(
        self, device: torch.device, plan: Plan, progress: Callable[[str, float], object], timer: Timer
    ) -> None:
        self._device, self._plan, self._progress, self._timer = device, plan, progress, timer

    def measure(self) -> Findings:
        began, load = time.perf_counter(), LoadMeter()
        self._progress("formats", 0.0)
        detections = detect(self._device, _with_fp32(self._plan.precisions))
        working = [name for name, found in detections.items() if found.supported]
        cases, fusions = self._cases(), self._fusions(detections)
        weights = [_WEIGHTS.get(case.operation, 1.0) for case in cases] + [_FUSION_WEIGHT] * len(fusions)
        self._clock = _Shares(self._plan.seconds, weights)
        self._kernel = ReferenceKernel.on(self._device, self._timer)
        before = condition_of(self._device)
        self._kernel.check()
        measured = self._measure_cases(cases, working)
        fused = self._measure_fusions(fusions)
        self._progress("done", 1.0)
        return Findings(
            device=self._device,
            detections=detections,
            cases=measured,
            fusions=fused,
            drift=self._kernel.drift(),
            load=load.read(),
            threads=thread_settings(),
            conditions=(before, condition_of(self._device)),
            duration_s=time.perf_counter() - began,
        )

    def _cases(self) -> tuple[Case, ...]:
        if self._plan.cases is not None:
            return self._plan.cases
        return cases_of(self._plan.operations, self._scale())

    def _scale(self) -> Scale:
        return Scale(
            on_gpu=self._device.type != "cpu",
            quick=self._plan.quick,
            cache_bytes=last_level_cache_bytes(self._device),
            free_bytes=free_memory_bytes(self._device),
        )

    def _fusions(self, detections: dict[str, Detection]) -> list[tuple[str, str]]:
        """Return patterns and formats; a quick run leaves out FP64 and what the hardware does not compute in."""
        if FUSION not in self._plan.operations:
            return []
        working = [name for name in PATTERN_PRECISIONS if name in detections and detections[name].supported]
        if self._plan.quick:
            working = [name for name in working if name != "fp64" and detections[name].native]
        return [(pattern, name) for pattern in patterns(self._scale()) for name in working]

    def _measure_cases(self, cases: Sequence[Case], working: Sequence[str]) -> tuple[MeasuredCase, ...]:
        pace, measured = Pace(), []
        for case in cases:
            self._progress(case.label, self._clock.done)
            measured.append(measure(case, working, self._device, self._timer, self._clock.effort(), pace))
            self._kernel.check()
        return tuple(measured)

    def _measure_fusions(self, wanted: list[tuple[str, str]]) -> tuple[FusedMeasurement, ...]:
        measured: list[FusedMeasurement] = []
        known: dict[str, Callable[..., Fusion]] = patterns(self._scale()) if wanted else {}
        for name, precision in wanted:
            self._progress(f"{name} in {precision}, fused", self._clock.done)
            effort, compiled = self._clock.effort(), self._plan.compiled
            measured += measure_fusion(known[name], precision, self._device, self._timer, effort, compiled=compiled)
            self._kernel.check()
        return tuple(measured)


def _with_fp32(precisions: Sequence[str]) -> tuple[str, ...]:
    # Speedups are against it, so it is measured even where nobody asked for it.
    return tuple(name for name in PRECISIONS if name in precisions or name == "fp32")


class _Shares:
    """Hands out what is left of the time by weight: what one measurement does not use, the later ones get."""

    def __init__(self, budget_s: float, weights: Sequence[float]) -> None:
        self._begin, self._budget_s, self._all, self._left = time.perf_counter(), budget_s, sum(weights), list(weights)

    @property
    def done(self) -> float:
        return 1 - sum(self._left) / self._all

    def effort(self) -> Effort:
        left_s = self._budget_s - (time.perf_counter() - self._begin)
        least_s = min(_LEAST_SHARE_S, self._budget_s / 40)
        share_s = max(left_s / sum(self._left), least_s) * self._left.pop(0)
        return Effort(budget_s=_TIMED_SHARE * share_s, warm_up_s=min(0.05, share_s / 10))
