"""Decides what a calibration profile holds: plain records of what was measured on one machine, precision by precision.

Units stand in the names: `_gflops` is 10^9 operations a second (of integers for int8), `_gbps` 10^9 bytes a second,
`_ms` milliseconds. None means that a figure was not measured or cannot be known; nothing here is ever estimated.
Profiles of before device types, precisions and the matrix were recorded load too. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .codec import decode, encode, number
from .migration import SCHEMA, migrated

# The order of tables: wide formats first, then those of eight bits.
PRECISIONS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "int8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where the true value lies with `confidence`; how it was computed stands in the metadata's `interval_method`."""

    low: float
    high: float
    confidence: float = number(0.95, at_most=1.0)
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionTestResult:
    """One precision of one operation at one size.

    Args:
        precision: one of `PRECISIONS`, or another name.
        supported: it ran here and its numbers were right. How fast it ran has no part in that.
        failure_reason: why not, where not supported.
        measured_gflops: of the median latency; None for operations whose work is moving bytes.
        efficiency: `measured_gflops` as a share of the theoretical dense peak; never above 1.
        efficiency_flag: why there is no efficiency although there is a peak.
        speedup_vs_fp32: FP32's latency by this one's, from samples taken in turn, same operation and size.
        test_size: the edge of a matrix, or what the operation counts its size by.
        native: the hardware computes in it; False: emulated, right but not faster.
        relative_error: of the check against FP64, in the 2-norm.
        note: what a reader of the figure must know (TF32 allowed, kernel chosen).
    """

    precision: str
    supported: bool
    failure_reason: str | None = None
    measured_gflops: float | None = None
    gflops_interval: Interval | None = None
    efficiency: float | None = number(at_most=1.0)
    efficiency_flag: str | None = None
    mean_latency_ms: float | None = None
    median_latency_ms: float | None = None
    std_latency_ms: float | None = None
    min_latency_ms: float | None = None
    max_latency_ms: float | None = None
    latency_interval_ms: Interval | None = None
    speedup_vs_fp32: float | None = None
    speedup_interval: Interval | None = None
    test_size: int = 0
    num_trials: int = 0
    arithmetic_intensity: float | None = None
    achieved_bandwidth_gbps: float | None = None
    bandwidth_interval_gbps: Interval | None = None
    native: bool | None = None
    relative_error: float | None = None
    note: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionCapabilityMatrix:
    """What this hardware can compute in, over all operations.

    Args:
        peak_gflops_by_precision: the best measured figure of any operation.
        speedup_vs_fp32: of the largest matmul that both were timed at; else of another product.
        theoretical_peaks: dense peaks of the preset, GFLOP/s; empty without a preset.
        reasons: why each of `unsupported_precisions` is.
    """

    hardware_name: str
    supported_precisions: tuple[str, ...] = ()
    unsupported_precisions: tuple[str, ...] = ()
    native_precisions: tuple[str, ...] = ()
    peak_gflops_by_precision: Mapping[str, float] = field(default_factory=dict)
    speedup_vs_fp32: Mapping[str, float] = field(default_factory=dict)
    theoretical_peaks: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCalibration:
    """One operation at one size, in every precision that was tried.

    The figures beside `precision_results` are those of FP32, or of the only precision: older profiles have no others.

    Args:
        operation_type: `"matmul"`, `"conv2d"`, `"memory_copy"`, …
        arithmetic_intensity: operations per byte that must move at least.
        extra_params: what else tells this entry from others of its type.
    """

    operation_type: str
    measured_gflops: float | None = None
    efficiency: float | None = number(at_most=1.0)
    efficiency_flag: str | None = None
    achieved_bandwidth_gbps: float | None = None
    memory_bound: bool | None = None
    compute_bound: bool | None = None
    arithmetic_intensity: float | None = None
    batch_size: int | None = None
    input_shape: tuple[int, ...] = ()
    output_shape: tuple[int, ...] = ()
    mean_latency_ms: float | None = None
    std_latency_ms: float | None = None
    min_latency_ms: float | None = None
    max_latency_ms: float | None = None
    num_trials: int = 0
    extra_params: Mapping[str, Any] = field(default_factory=dict)
    precision_results: Mapping[str, PrecisionTestResult] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionCalibration:
    """A fused pattern against its parts run one by one.

    Args:
        speedup_factor: latency of the parts by that of the fused pattern, from samples taken in turn.
        memory_reduction: 1 - fused bytes / unfused bytes; below 0 where fusing moves more.
        how: by what it was fused (one kernel of the library, `torch.compile`).
        failure_reason: why there are no figures, where there are none.
    """

    fusion_pattern: str
    operators: tuple[str, ...] = ()
    num_operators: int = 0
    precision: str | None = None
    how: str | None = None
    unfused_latency_ms: float | None = None
    unfused_gflops: float | None = None
    unfused_memory_bytes: int | None = None
    fused_latency_ms: float | None = None
    fused_gflops: float | None = None
    fused_memory_bytes: int | None = None
    speedup_factor: float | None = None
    speedup_interval: Interval | None = None
    memory_reduction: float | None = number(signed=True)
    gflops_improvement: float | None = number(signed=True)
    input_shape: tuple[int, ...] = ()
    extra_params: Mapping[str, Any] = field(default_factory=dict)
    num_trials: int = 0
    failure_reason: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityCheck:
    """Whether the machine stayed the same while it was measured.

    Args:
        reference: what was timed at the beginning, at the end, and in between.
        change_percent: of its median latency from beginning to end; above 0: slower.
        busy_percent: of the processors by other programs meanwhile, less this process's own.
        steal_percent: of the processors taken by the host of a virtual machine.
        stable: none of these is beyond its limit; `remarks` says which are.
    """

    reference: str
    before_ms: float | None = None
    after_ms: float | None = None
    change_percent: float | None = number(signed=True)
    spread_percent: float | None = None
    clock_mhz_before: float | None = None
    clock_mhz_after: float | None = None
    temperature_c_before: float | None = number(signed=True)
    temperature_c_after: float | None = number(signed=True)
    throttle_reasons: tuple[str, ...] = ()
    busy_percent: float | None = None
    steal_percent: float | None = None
    stable: bool | None = None
    remarks: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationMetadata:
    """Where, when, with what and under which settings was measured.

    Args:
        calibration_date: ISO 8601 with its offset.
        device_type: `"cpu"` or `"cuda"`; profiles of before it was recorded are of CPUs.
        platform_architecture: as `platform.machine()` has it.
        machine_class: the key by which profiles and baselines are found (`machine.machine_class`).
        thread_settings: environment variables and settings that decide how many threads compute.
        fp32_matmul_precision: torch's setting; other than `"highest"`, FP32 products may be TF32 or BF16 ones.
        platform_check: `"passed"`, `"skipped"`, or None without a preset.
        preset_source: where its peaks are from, and how they follow.
        upper_bound: its peaks are at least those of this device, so every efficiency is the least that it can be.
    """

    hardware_name: str
    calibration_date: str
    calibration_tool_version: str | None = None
    device_type: str = "cpu"
    platform_architecture: str = "unknown"
    machine_class: str | None = None
    device_name: str | None = None
    compute_capability: str | None = None
    driver_version: str | None = None
    cpu_model: str | None = None
    cpu_count: int | None = None
    total_memory_gb: float | None = None
    os: str | None = None
    python_version: str | None = None
    pytorch_version: str | None = None
    numpy_version: str | None = None
    cuda_version: str | None = None
    cpu_capability: str | None = None
    num_threads: int | None = None
    num_interop_threads: int | None = None
    thread_settings: Mapping[str, str] = field(default_factory=dict)
    fp32_matmul_precision: str | None = None
    tf32_matmul: bool | None = None
    tf32_convolution: bool | None = None
    num_warmup_runs: int | None = None
    num_measurement_runs: int | None = None
    interval_method: str | None = None
    quick: bool | None = None
    operations: tuple[str, ...] = ()
    duration_s: float | None = None
    preset: str | None = None
    preset_source: str | None = None
    upper_bound: bool | None = None
    platform_check: str | None = None
    stability: StabilityCheck | None = None
    warnings: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareCalibration:
    """A profile: one device of one machine, calibrated once.

    Args:
        theoretical_peak_gflops: dense FP32 peak of the preset; None without a preset.
        measured_bandwidth_gbps: the best of copy and triad at sizes that no cache holds, reads and writes counted.
        operation_profiles: by a name that tells operation and size, in the order they were measured.
        fusion_profiles: by pattern and precision.
    """

    metadata: CalibrationMetadata
    theoretical_peak_gflops: float | None = None
    theoretical_bandwidth_gbps: float | None = None
    best_measured_gflops: float | None = None
    avg_measured_gflops: float | None = None
    worst_measured_gflops: float | None = None
    measured_bandwidth_gbps: float | None = None
    bandwidth_interval_gbps: Interval | None = None
    bandwidth_efficiency: float | None = number(at_most=1.0)
    bandwidth_efficiency_flag: str | None = None
    best_efficiency: float | None = number(at_most=1.0)
    avg_efficiency: float | None = number(at_most=1.0)
    worst_efficiency: float | None = number(at_most=1.0)
    operation_profiles: Mapping[str, OperationCalibration] = field(default_factory=dict)
    fusion_profiles: Mapping[str, FusionCalibration] = field(default_factory=dict)
    precision_matrix: PrecisionCapabilityMatrix | None = None
    schema: str = SCHEMA
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; fields that an unknown version brought are among them."""
        return encode(self)

    @classmethod
    def from_dict(cls, data: object) -> HardwareCalibration:
        """Build a profile from JSON values of this version, an older or a newer one. `data` is not changed.

        Raises:
            ProfileError: it is no profile; the sentence names the place.
        """
        return decode(cls, migrated(data))
