"""What was measured, in the records of a profile: figures per operation and format, none of them above its peak."""

from __future__ import annotations

import math
import re
import statistics
from typing import TYPE_CHECKING

from amp_runtime.calibration.efficiency import efficiency_of
from amp_runtime.calibration.schema import (
    FusionCalibration,
    Interval,
    OperationCalibration,
    PrecisionCapabilityMatrix,
    PrecisionTestResult,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from amp_runtime.benchmark.intervals import Estimate
    from amp_runtime.calibration.detect import Detection
    from amp_runtime.calibration.fusing import FusedMeasurement
    from amp_runtime.calibration.measurement import MeasuredCase, Measurement
    from amp_runtime.calibration.measuring import Findings
    from amp_runtime.calibration.preset import Peaks

# Those that the peak of the arithmetic units limits; the others are held against bandwidth alone.
PRODUCTS = ("matmul", "conv2d", "attention", "attention_causal")
_TF32_NOTE = "float32 operands with TF32 allowed for these calls; the figures of fp32 were taken with it forbidden"


def operation_profiles(findings: Findings, peaks: Peaks) -> dict[str, OperationCalibration]:
    """Return a record for each case, by a name made of its operation and shape, in the order they were measured."""
    ridge = _ridge(findings)
    return {
        _slug(measured.case.label): _operation(measured, findings.detections, peaks, ridge)
        for measured in findings.cases
    }


def _operation(
    measured: MeasuredCase, detections: Mapping[str, Detection], peaks: Peaks, ridge: float | None
) -> OperationCalibration:
    case = measured.case
    results = {
        name: _result(measured, name, detection, peaks)
        for name, detection in detections.items()
        if name in case.precisions
    }
    timed = [result for result in results.values() if result.median_latency_ms is not None]
    shown = results["fp32"] if results.get("fp32") in timed else next(iter(timed), None)
    bound = None if shown is None or not case.flops or ridge is None else (shown.arithmetic_intensity or 0.0) < ridge
    figures = {} if shown is None else {name: getattr(shown, name) for name in _SHARED}
    return OperationCalibration(
        operation_type=case.operation,
        memory_bound=bound,
        compute_bound=None if bound is None else not bound,
        extra_params={"shape": case.name, "counted": case.counted},
        precision_results=results,
        **figures,
    )


_SHARED = (
    "measured_gflops",
    "efficiency",
    "efficiency_flag",
    "achieved_bandwidth_gbps",
    "arithmetic_intensity",
    "mean_latency_ms",
    "std_latency_ms",
    "min_latency_ms",
    "max_latency_ms",
    "num_trials",
)


def _result(measured: MeasuredCase, precision: str, detection: Detection, peaks: Peaks) -> PrecisionTestResult:
    case, found = measured.case, measured.measurements.get(precision)
    if not detection.supported or found is None or found.failed:
        reason = detection.reason if found is None else found.reason
        error = detection.relative_error if found is None else found.relative_error
        return PrecisionTestResult(
            precision=precision,
            supported=False,
            failure_reason=reason,
            test_size=case.size,
            relative_error=_finite(error),
        )
    if found.seconds is None:
        return PrecisionTestResult(
            precision=precision, supported=True, note=found.reason, test_size=case.size, native=detection.native
        )
    return _timed(measured, found, detection, peaks.theoretical_peaks.get(precision))


def _timed(measured: MeasuredCase, found: Measurement, detection: Detection, peak: float | None) -> PrecisionTestResult:
    case, seconds, timing = measured.case, found.seconds, found.timing
    if seconds is None or timing is None:
        raise ValueError(f"{case.label} in {found.precision} was not timed")
    samples_ms = [sample * 1e3 for sample in timing.samples_s]
    gflops = None if found.flops_per_s is None else found.flops_per_s / 1e9
    efficiency, flag = efficiency_of(gflops, peak) if case.operation in PRODUCTS else (None, None)
    return PrecisionTestResult(
        precision=found.precision,
        supported=True,
        measured_gflops=gflops,
        gflops_interval=_rate_interval(found.flops / 1e9, seconds) if found.flops else None,
        efficiency=efficiency,
        efficiency_flag=flag,
        mean_latency_ms=statistics.fmean(samples_ms),
        median_latency_ms=seconds.value * 1e3,
        std_latency_ms=statistics.stdev(samples_ms) if len(samples_ms) > 1 else None,
        min_latency_ms=min(samples_ms),
        max_latency_ms=max(samples_ms),
        latency_interval_ms=_interval(seconds, 1e3),
        speedup_vs_fp32=None if found.speedup is None else found.speedup.value,
        speedup_interval=None if found.speedup is None else _interval(found.speedup),
        test_size=case.size,
        num_trials=len(samples_ms),
        arithmetic_intensity=found.flops / found.bytes_moved if found.flops else None,
        achieved_bandwidth_gbps=found.bytes_moved / 1e9 / seconds.value,
        bandwidth_interval_gbps=_rate_interval(found.bytes_moved / 1e9, seconds),
        native=detection.native,
        relative_error=found.relative_error,
        note=_TF32_NOTE if found.precision == "tf32" else None,
    )


def fusion_profiles(findings: Findings) -> dict[str, FusionCalibration]:
    """Return a record for each pattern, format and way of fusing, by a name made of the three."""
    patterns = findings.fusions
    several = {found.how for found in patterns if found.how == "torch.compile"}
    return {
        _slug(f"{found.fusion.pattern} {found.precision}{' compiled' if found.how in several else ''}"): _fusion(found)
        for found in patterns
    }


def _fusion(found: FusedMeasurement) -> FusionCalibration:
    fusion, parts, fused = found.fusion, found.parts_s, found.fused_s
    checks = {"agrees_with_fp64": found.agrees, "difference_from_parts": _finite(found.difference)}
    saved = 1 - fusion.fused_bytes / fusion.part_bytes
    return FusionCalibration(
        fusion_pattern=fusion.pattern,
        operators=fusion.operators,
        num_operators=len(fusion.operators),
        precision=found.precision,
        how=found.how,
        unfused_latency_ms=None if parts is None else parts.value * 1e3,
        unfused_gflops=None if parts is None else fusion.flops / parts.value / 1e9,
        unfused_memory_bytes=fusion.part_bytes,
        fused_latency_ms=None if fused is None else fused.value * 1e3,
        fused_gflops=None if fused is None else fusion.flops / fused.value / 1e9,
        fused_memory_bytes=fusion.fused_bytes,
        speedup_factor=None if found.speedup is None else found.speedup.value,
        speedup_interval=None if found.speedup is None else _interval(found.speedup),
        memory_reduction=saved,
        gflops_improvement=None if parts is None or fused is None else parts.value / fused.value - 1,
        input_shape=fusion.shape,
        extra_params={name: value for name, value in checks.items() if value is not None},
        num_trials=0 if fused is None else fused.samples,
        failure_reason=found.reason,
    )


def precision_matrix(findings: Findings, peaks: Peaks, hardware_name: str) -> PrecisionCapabilityMatrix:
    """Sum up the formats: those that work, the best figure of any product, and the speedup of the largest one."""
    working = tuple(name for name, found in findings.detections.items() if found.supported)
    speedups = {name: speedup_of(findings.cases, name) for name in working}
    best = {name: best_gflops(findings.cases, name) for name in working}
    return PrecisionCapabilityMatrix(
        hardware_name=hardware_name,
        supported_precisions=working,
        unsupported_precisions=tuple(name for name in findings.detections if name not in working),
        native_precisions=tuple(name for name in working if findings.detections[name].native),
        peak_gflops_by_precision={name: value for name, value in best.items() if value is not None},
        speedup_vs_fp32={name: value for name, value in speedups.items() if value is not None},
        theoretical_peaks=dict(peaks.theoretical_peaks),
        reasons={name: found.reason for name, found in findings.detections.items() if not found.supported},
    )


def best_gflops(cases: Iterable[MeasuredCase], precision: str) -> float | None:
    """Return the best median figure of a format over all of `PRODUCTS`; None if none was timed."""
    rates = [
        found.flops_per_s
        for measured in cases
        if measured.case.operation in PRODUCTS and (found := measured.measurements.get(precision)) is not None
    ]
    return max((rate / 1e9 for rate in rates if rate is not None), default=None)


def speedup_of(cases: Iterable[MeasuredCase], precision: str) -> float | None:
    """Return the paired speedup against FP32 of the largest matmul that both were timed at, else of another product."""
    paired = [
        (measured.case.operation == "matmul", measured.case.flops, found.speedup.value)
        for measured in cases
        if measured.case.operation in PRODUCTS
        and (found := measured.measurements.get(precision)) is not None
        and found.speedup is not None
    ]
    return max(paired)[2] if paired else None


def best_bandwidth(cases: Iterable[MeasuredCase]) -> tuple[float, Interval] | None:
    """Return the best of copy and triad in GB/s with its interval; None if neither was timed."""
    timed = [
        (found.bytes_moved / 1e9 / found.seconds.value, _rate_interval(found.bytes_moved / 1e9, found.seconds))
        for measured in cases
        if measured.case.operation.startswith("memory_")
        for found in measured.measurements.values()
        if found.seconds is not None
    ]
    return max(timed, key=lambda one: one[0], default=None)


def _ridge(findings: Findings) -> float | None:
    """Return the FLOPs a byte from which on FP32's arithmetic, not memory, is the limit; None if either is unknown."""
    compute, bandwidth = best_gflops(findings.cases, "fp32"), best_bandwidth(findings.cases)
    return None if compute is None or bandwidth is None else compute / bandwidth[0]


def _interval(estimate: Estimate, factor: float = 1.0) -> Interval:
    return Interval(low=estimate.low * factor, high=estimate.high * factor, confidence=estimate.confidence)


def _rate_interval(work: float, seconds: Estimate) -> Interval:
    return Interval(low=work / seconds.high, high=work / seconds.low, confidence=seconds.confidence)


def _finite(error: float | None) -> float | None:
    return error if error is not None and math.isfinite(error) else None


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", label.lower()).strip("_")
