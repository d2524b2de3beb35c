"""Decides which rows the tables of a profile have, for the terminal and for Markdown alike. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amp_runtime.calibration.efficiency import efficiency_of
from amp_runtime.calibration.figures import share
from amp_runtime.calibration.schema import PRECISIONS, Interval, OperationCalibration, PrecisionTestResult

if TYPE_CHECKING:
    from amp_runtime.calibration.schema import HardwareCalibration


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionRow:
    """A precision over all operations.

    Args:
        state: `"native"`, `"emulated"`, `"works"` where it is not known which, or `"no"`.
        best: its fastest result, and `where` the name of that operation; None where none was timed.
        of_peak: as `figures.share` writes it.
        reason: why it is not supported, or nothing was timed; else empty.
    """

    precision: str
    state: str
    best: PrecisionTestResult | None = None
    where: str = ""
    peak: float | None = None
    of_peak: str = ""
    speedup: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRow:
    """An operation at one size in one precision; `precision` is empty in profiles of before there were any."""

    name: str
    operation: str
    precision: str
    result: PrecisionTestResult
    in_bytes: bool


def precision_rows(profile: HardwareCalibration) -> list[PrecisionRow]:
    """Return a row for each precision that the profile speaks of, in the order of `PRECISIONS`."""
    matrix = profile.precision_matrix
    rows = list(operation_rows(profile))
    seen = {row.precision for row in rows if row.precision}
    if matrix is not None:
        seen |= {*matrix.supported_precisions, *matrix.unsupported_precisions}
    return [_precision_row(profile, name, rows) for name in ordered(seen)]


def ordered(precisions: set[str]) -> list[str]:
    """Sort precisions: those of `PRECISIONS` in its order, then others by name."""
    return sorted(precisions, key=lambda name: (PRECISIONS.index(name) if name in PRECISIONS else 99, name))


def _precision_row(profile: HardwareCalibration, name: str, rows: Sequence[OperationRow]) -> PrecisionRow:
    matrix = profile.precision_matrix
    tried = [row for row in rows if row.precision == name]
    timed = [row for row in tried if row.result.supported and row.result.measured_gflops is not None]
    best = max(timed, key=lambda row: row.result.measured_gflops or 0.0, default=None)
    listed = matrix is not None and name in matrix.supported_precisions
    if not (listed or any(row.result.supported for row in tried)):
        reasons = [row.result.failure_reason for row in tried if row.result.failure_reason]
        known = matrix.reasons.get(name) if matrix is not None else None
        return PrecisionRow(precision=name, state="no", reason=known or next(iter(reasons), "no reason was recorded"))
    notes = [row.result.note for row in tried if row.result.note]
    peak = matrix.theoretical_peaks.get(name) if matrix is not None else None
    measured = best.result.measured_gflops if best else None
    efficiency, flag = efficiency_of(measured, peak)
    return PrecisionRow(
        precision=name,
        state=_state(profile, name, tried),
        best=best.result if best else None,
        where=best.name if best else "",
        peak=peak,
        of_peak=share(efficiency, flag, upper_bound=profile.metadata.upper_bound),
        speedup=matrix.speedup_vs_fp32.get(name) if matrix is not None else None,
        reason="" if best else next(iter(notes), "not measured"),
    )


def _state(profile: HardwareCalibration, name: str, tried: Sequence[OperationRow]) -> str:
    told = {row.result.native for row in tried if row.result.supported} - {None}
    if profile.precision_matrix is not None and name in profile.precision_matrix.native_precisions:
        told.add(True)
    return "native" if True in told else "emulated" if False in told else "works"


def operation_rows(profile: HardwareCalibration) -> Iterator[OperationRow]:
    """Yield a row for each operation, size and precision, in the order of the profile."""
    for name, operation in profile.operation_profiles.items():
        results = operation.precision_results or {"": _without_precision(operation)}
        in_bytes = moves_bytes(operation)
        for precision in ordered(set(results)):
            yield OperationRow(
                name=name,
                operation=operation.operation_type,
                precision=precision,
                result=results[precision],
                in_bytes=in_bytes,
            )


def moves_bytes(operation: OperationCalibration) -> bool:
    """Say whether the figure to show of an operation is bytes a second: it computes nothing, or memory bounds it."""
    results = operation.precision_results.values()
    computes = operation.measured_gflops is not None or any(one.measured_gflops is not None for one in results)
    return not computes or operation.memory_bound is True


def _without_precision(operation: OperationCalibration) -> PrecisionTestResult:
    """Return the figures of an operation of the older format, which did not say in which precision they are."""
    return PrecisionTestResult(
        precision="",
        supported=True,
        measured_gflops=operation.measured_gflops,
        efficiency=operation.efficiency,
        efficiency_flag=operation.efficiency_flag,
        mean_latency_ms=operation.mean_latency_ms,
        achieved_bandwidth_gbps=operation.achieved_bandwidth_gbps,
        arithmetic_intensity=operation.arithmetic_intensity,
        num_trials=operation.num_trials,
    )


def is_measured(row: OperationRow) -> bool:
    """Say whether a row has the figure that is to be shown of it."""
    return row.result.supported and rate(row)[0] is not None


def unsteady(profile: HardwareCalibration) -> bool:
    """Say whether the machine did not stay the same, so that no figure of the profile is reliable."""
    steady = profile.metadata.stability
    return steady is not None and steady.stable is False


def rate(row: OperationRow) -> tuple[float | None, Interval | None]:
    """Return the figure to show of a row with its interval: GB/s where `in_bytes`, else GFLOP/s."""
    if row.in_bytes:
        return row.result.achieved_bandwidth_gbps, row.result.bandwidth_interval_gbps
    return row.result.measured_gflops, row.result.gflops_interval


def of_peak(profile: HardwareCalibration, row: OperationRow) -> str:
    """Write the share that a row reached of the theoretical peak of what bounds it."""
    bound = profile.metadata.upper_bound
    if row.in_bytes:
        reached = efficiency_of(row.result.achieved_bandwidth_gbps, profile.theoretical_bandwidth_gbps)
        return share(*reached, upper_bound=bound)
    return share(row.result.efficiency, row.result.efficiency_flag, upper_bound=bound)


def warnings(profile: HardwareCalibration) -> tuple[str, ...]:
    """Return all that a reader of the figures must be warned of: what was recorded, and each impossible efficiency."""
    about = profile.metadata
    said = list(about.warnings)
    if about.platform_check == "skipped":
        said.append("the platform check was skipped: peaks and efficiencies may be those of another device")
    said += about.stability.remarks if about.stability is not None else ()
    if profile.bandwidth_efficiency_flag is not None:
        said.append(f"memory bandwidth: {profile.bandwidth_efficiency_flag}")
    said += [
        f"{row.name}{f' in {row.precision}' if row.precision else ''}: {row.result.efficiency_flag}"
        for row in operation_rows(profile)
        if row.result.efficiency_flag is not None
    ]
    return tuple(dict.fromkeys(said))
