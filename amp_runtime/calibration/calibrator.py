"""Measures a device and returns its profile: what works, how fast, at which share of its peaks, and how steadily."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from typing import TYPE_CHECKING

import torch

from amp_runtime.calibration.efficiency import efficiency_of
from amp_runtime.calibration.filling import (
    PRODUCTS,
    best_bandwidth,
    fusion_profiles,
    operation_profiles,
    precision_matrix,
)
from amp_runtime.calibration.formats import PRECISIONS
from amp_runtime.calibration.machine import architecture_of, machine_class, this_machine
from amp_runtime.calibration.measurement import HOW
from amp_runtime.calibration.measuring import Findings, Plan, measure_all
from amp_runtime.calibration.operations import OPERATIONS
from amp_runtime.calibration.presets import peaks_for
from amp_runtime.calibration.schema import (
    CalibrationMetadata,
    HardwareCalibration,
    OperationCalibration,
    StabilityCheck,
)
from amp_runtime.device import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from amp_runtime.calibration.preset import Peaks, Preset

_REFERENCE = "float32 product of two 256x256 matrices"


def calibrate(
    device: str = "cpu",
    *,
    operations: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    quick: bool = False,
    compiled: bool = False,
    threads: int | None = None,
    preset: Preset | None = None,
    progress: Callable[[str, float], object] = lambda _what, _share: None,
) -> HardwareCalibration:
    """Measure a device of this machine: about 40 seconds if quick, under five minutes if not (on two quiet cores).

    Nothing global is changed for good: threads, switches of PyTorch and random generators are restored.

    Args:
        device: such as `"cpu"` or `"cuda:0"`.
        operations: some of `amp_runtime.calibration.operations.OPERATIONS`; all by default.
        precisions: some of `amp_runtime.calibration.schema.PRECISIONS`; all by default, and fp32 in any case.
        compiled: also measure what `torch.compile` makes of the fused patterns.
        threads: of PyTorch's operators; None: those in force.
        preset: whose peaks figures are held against; None: the one that is recognised, if any.
        progress: is told what is measured next and what share is done.

    Raises:
        ValueError: an unknown operation, precision or device, or a preset whose peaks cannot be computed here.
    """
    plan = Plan(
        operations=OPERATIONS if operations is None else tuple(operations),
        precisions=PRECISIONS if precisions is None else tuple(precisions),
        quick=quick,
        compiled=compiled,
        threads=threads,
    )
    described = describe(device)
    peaks = peaks_for(this_machine(), torch.device(device).type, _gpu_name(device, described.name), preset)
    findings = measure_all(device, plan, progress)
    return profile_of(findings, plan, peaks, described.name)


def _gpu_name(device: str, name: str) -> str | None:
    return None if torch.device(device).type == "cpu" else name


def profile_of(findings: Findings, plan: Plan, peaks: Peaks, device_name: str) -> HardwareCalibration:
    """Put what was measured into a profile; whether the preset is of this machine is the caller's to find out."""
    profiles = operation_profiles(findings, peaks)
    products = [one for one in profiles.values() if one.operation_type in PRODUCTS]
    gflops = _present(one.measured_gflops for one in products)
    efficiencies = _present(one.efficiency for one in products)
    bandwidth = best_bandwidth(findings.cases)
    share, flag = efficiency_of(None if bandwidth is None else bandwidth[0], peaks.bandwidth_gbps)
    return HardwareCalibration(
        metadata=_metadata(findings, plan, peaks, device_name, profiles.values()),
        theoretical_peak_gflops=peaks.theoretical_peaks.get("fp32"),
        theoretical_bandwidth_gbps=peaks.bandwidth_gbps,
        best_measured_gflops=max(gflops, default=None),
        avg_measured_gflops=_mean(gflops),
        worst_measured_gflops=min(gflops, default=None),
        measured_bandwidth_gbps=None if bandwidth is None else bandwidth[0],
        bandwidth_interval_gbps=None if bandwidth is None else bandwidth[1],
        bandwidth_efficiency=share,
        bandwidth_efficiency_flag=flag,
        best_efficiency=max(efficiencies, default=None),
        avg_efficiency=_mean(efficiencies),
        worst_efficiency=min(efficiencies, default=None),
        operation_profiles=profiles,
        fusion_profiles=fusion_profiles(findings),
        precision_matrix=precision_matrix(findings, peaks, device_name),
    )


def _present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _metadata(
    findings: Findings,
    plan: Plan,
    peaks: Peaks,
    device_name: str,
    profiles: Iterable[OperationCalibration],
) -> CalibrationMetadata:
    machine, threads, device = this_machine(), findings.threads, findings.device
    stability = stability_of(findings)
    affinity = {} if threads.affinity is None else {"affinity": ",".join(map(str, threads.affinity))}
    return CalibrationMetadata(
        hardware_name=device_name,
        calibration_date=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        calibration_tool_version=_version("verify-amp"),
        device_type=device.type,
        platform_architecture=architecture_of(platform.machine()),
        machine_class=_class(device, device_name),
        device_name=device_name,
        driver_version=machine.driver_version if device.type == "cuda" else None,
        compute_capability=_compute_capability(device),
        cpu_model=machine.cpu_model,
        cpu_count=os.cpu_count(),
        total_memory_gb=machine.memory_gb,
        os=platform.platform(),
        python_version=platform.python_version(),
        pytorch_version=torch.__version__,
        numpy_version=_version("numpy"),
        cuda_version=torch.version.cuda,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        num_threads=threads.torch,
        num_interop_threads=threads.interop,
        thread_settings=threads.environment | affinity,
        fp32_matmul_precision="highest",
        tf32_matmul=False,
        tf32_convolution=False,
        interval_method=HOW,
        quick=plan.quick,
        operations=plan.operations,
        duration_s=findings.duration_s,
        preset=peaks.preset,
        preset_source=peaks.source,
        stability=stability,
        warnings=(*stability.remarks, *_flags(profiles)),
    )


def _flags(profiles: Iterable[OperationCalibration]) -> list[str]:
    """Return one sentence for each format that was measured above its peak."""
    said: dict[str, str] = {}
    for profile in profiles:
        for name, result in profile.precision_results.items():
            if result.efficiency_flag is not None:
                said.setdefault(name, f"{name} in {profile.operation_type} is {result.efficiency_flag}")
    return list(said.values())


def stability_of(findings: Findings) -> StabilityCheck:
    """Say whether the machine stayed the same, by the reference kernel and by what other programs did meanwhile."""
    drift, load, (before, after) = findings.drift, findings.load, findings.conditions
    remarks = list(drift.warnings)
    if load.is_busy:
        remarks.append(
            f"other programs kept {load.processors:.1f} of {load.of} processors busy ({load.source}), "
            "so figures are too low"
        )
    return StabilityCheck(
        reference=_REFERENCE,
        before_ms=drift.seconds[0] * 1e3,
        after_ms=drift.seconds[-1] * 1e3,
        change_percent=100 * drift.trend,
        spread_percent=100 * drift.spread,
        clock_mhz_before=before.clock_mhz,
        clock_mhz_after=after.clock_mhz,
        temperature_c_before=before.temperature_c,
        temperature_c_after=after.temperature_c,
        busy_percent=None if load.processors is None else 100 * load.processors / load.of,
        steal_percent=None if load.stolen is None else 100 * load.stolen / load.of,
        stable=not remarks,
        remarks=tuple(remarks),
    )


def _class(device: torch.device, device_name: str) -> str | None:
    if device.type not in ("cpu", "cuda"):
        return None
    return machine_class(device.type, device_name=None if device.type == "cpu" else device_name)


def _compute_capability(device: torch.device) -> str | None:
    if device.type != "cuda" or torch.version.hip is not None:
        return None
    return ".".join(map(str, torch.cuda.get_device_capability(device)))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
