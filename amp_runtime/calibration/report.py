"""Decides what the Markdown report of a profile says, in which order. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from amp_runtime.calibration.figures import NONE, figure, share, spread, times, with_spread
from amp_runtime.calibration.markdown import code, escaped, folded, grid, prose
from amp_runtime.calibration.rows import (
    OperationRow,
    is_measured,
    of_peak,
    operation_rows,
    ordered,
    precision_rows,
    rate,
    unsteady,
    warnings,
)

if TYPE_CHECKING:
    from amp_runtime.calibration.rows import PrecisionRow
    from amp_runtime.calibration.schema import HardwareCalibration

_PRECISIONS = (
    *("precision", "runs", "best GFLOP/s", "95 % interval"),
    *("dense peak", "of peak", "against FP32", "measured in"),
)
_UNSTEADY = "**The machine was not steady: no figure here is reliable (see the warnings).**\n\n"
_BOUND = "\n\nThe dense peaks are an upper bound (see below), so every share is the least that it can be."


def report(profile: HardwareCalibration, *, picture: str | None, no_picture: str = "") -> str:
    """Return the report.

    Args:
        picture: file name of the roofline plot beside the report; None where there is none.
        no_picture: why there is none.
    """
    parts = [
        f"# Calibration of {code(profile.metadata.hardware_name)}",
        _summary(profile),
        _warnings(profile),
        "## Precisions\n\n" + _precisions(profile),
        "## Roofline\n\n" + _roofline(profile, picture, no_picture),
        _speedups(profile),
        *_operations(profile),
        _fusions(profile),
        "## How it was measured\n\n" + _method(profile),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(profile: HardwareCalibration) -> str:
    about, matrix = profile.metadata, profile.precision_matrix
    lines = []
    for row in precision_rows(profile):
        if row.best is not None:
            of = f", {row.of_peak} of its dense peak" if row.of_peak != NONE else ""
            lines.append(f"- **{escaped(row.precision)}** {figure(row.best.measured_gflops)} GFLOP/s ({row.state}){of}")
    if profile.measured_bandwidth_gbps is not None:
        lines.append(f"- **memory** {figure(profile.measured_bandwidth_gbps)} GB/s{_of_bandwidth(profile)}")
    if matrix is not None and matrix.unsupported_precisions:
        lines.append(f"- not supported: {', '.join(escaped(one) for one in matrix.unsupported_precisions)}")
    kind = {True: "A quick run", False: "A full run", None: "A run"}[about.quick]
    device = f"{escaped(about.device_type)} of {escaped(about.platform_architecture)}"
    beware = _UNSTEADY if unsteady(profile) else ""
    return f"{kind} on {device}, {code(about.calibration_date)}.\n\n{beware}" + "\n".join(lines)


def _of_bandwidth(profile: HardwareCalibration) -> str:
    if profile.theoretical_bandwidth_gbps is None:
        return ""
    bound = profile.metadata.upper_bound
    reached = share(profile.bandwidth_efficiency, profile.bandwidth_efficiency_flag, upper_bound=bound)
    return f", {reached} of {figure(profile.theoretical_bandwidth_gbps)}"


def _warnings(profile: HardwareCalibration) -> str:
    said = warnings(profile)
    return "## Warnings\n\n" + "\n".join(f"- {prose(one)}" for one in said) if said else ""


def _precisions(profile: HardwareCalibration) -> str:
    rows = precision_rows(profile)
    if not rows:
        return "The profile is of a format that did not tell precisions apart."
    note = _BOUND if profile.metadata.upper_bound else ""
    return grid(_PRECISIONS, [_precision(row) for row in rows], right={2, 4, 5, 6}) + note


def _precision(row: PrecisionRow) -> tuple[str, ...]:
    if row.best is None:
        return (code(row.precision), f"{row.state}: {prose(row.reason)}", *[""] * 6)
    return (
        code(row.precision),
        row.state,
        figure(row.best.measured_gflops),
        spread(row.best.gflops_interval),
        figure(row.peak),
        row.of_peak or NONE,
        times(row.speedup),
        code(row.where) if row.where else "",
    )


def _roofline(profile: HardwareCalibration, picture: str | None, no_picture: str) -> str:
    memory = ""
    if profile.measured_bandwidth_gbps is not None:
        measured = with_spread(profile.measured_bandwidth_gbps, profile.bandwidth_interval_gbps)
        memory = f"Memory bandwidth: {measured} GB/s{_of_bandwidth(profile)}. "
    if picture is None:
        return f"{memory}There is no picture: {no_picture or 'none was asked for'}."
    shown = "Lines are the roofs that were measured, dotted ones dense theoretical peaks, marks single operations."
    return f"{memory}{shown}\n\n![Roofline: GFLOP/s over FLOP per byte]({picture})"


def _speedups(profile: HardwareCalibration) -> str:
    rows = [
        row for row in operation_rows(profile) if row.result.speedup_vs_fp32 is not None and row.precision != "fp32"
    ]
    if not rows:
        return ""
    precisions = ordered({row.precision for row in rows})
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        told = " ".join(x for x in (times(row.result.speedup_vs_fp32), spread(row.result.speedup_interval)) if x)
        cells.setdefault(row.name, {})[row.precision] = told
    body = [(code(name), *(found.get(one, NONE) for one in precisions)) for name, found in cells.items()]
    table = grid(("operation", *(code(one) for one in precisions)), body, right=set(range(1, len(precisions) + 1)))
    told = "Time in FP32 by time in the other precision, same operation and size, samples in turn; 95 % intervals."
    return f"## Speedup against FP32\n\n{told}\n\n{folded(table, len(body), 'all operations')}"


def _operations(profile: HardwareCalibration) -> list[str]:
    by_type: dict[str, list[OperationRow]] = {}
    left_out = []
    for row in operation_rows(profile):
        if is_measured(row):
            by_type.setdefault(row.operation, []).append(row)
        else:
            left_out.append(row)
    sections = [_operation(profile, kind, rows) for kind, rows in by_type.items()]
    return [*(["## Operations"] if sections else []), *sections, *_left_out(left_out)]


def _operation(profile: HardwareCalibration, kind: str, rows: Sequence[OperationRow]) -> str:
    units = {"GB/s" if row.in_bytes else "GFLOP/s" for row in rows}
    head = ("operation", "precision", " or ".join(sorted(units)), "95 % interval", "ms", "FLOP per byte")
    body = [_row(profile, row) for row in rows]
    table = grid((*head, "of peak", "trials"), body, right={2, 4, 5, 6, 7})
    return f"### {escaped(kind)}\n\n{folded(table, len(rows), 'all sizes and precisions')}"


def _row(profile: HardwareCalibration, row: OperationRow) -> tuple[str, ...]:
    result, (value, interval) = row.result, rate(row)
    latency = result.median_latency_ms if result.median_latency_ms is not None else result.mean_latency_ms
    return (
        code(row.name),
        code(row.precision) if row.precision else "",
        figure(value),
        spread(interval),
        figure(latency),
        figure(result.arithmetic_intensity),
        of_peak(profile, row),
        str(result.num_trials),
    )


def _left_out(rows: Sequence[OperationRow]) -> list[str]:
    """Return what was not measured and why; what no operation supports is said once, in the table of precisions."""
    body = [
        (code(row.name), code(row.precision), prose(row.result.failure_reason or row.result.note or "not measured"))
        for row in rows
    ]
    table = grid(("operation", "precision", "why"), body, right=set())
    return [f"### Not measured\n\n{folded(table, len(body), 'all of them')}"] if body else []


def _fusions(profile: HardwareCalibration) -> str:
    if not profile.fusion_profiles:
        return ""
    head = ("pattern", "precision", "parts ms", "fused ms", "speedup", "95 % interval", "by")
    body = []
    for one in profile.fusion_profiles.values():
        pattern, how = code(one.fusion_pattern), prose(one.how or "")
        if one.speedup_factor is None:
            body.append((pattern, code(one.precision or NONE), "", "", NONE, prose(one.failure_reason or ""), ""))
            continue
        latencies = (figure(one.unfused_latency_ms), figure(one.fused_latency_ms))
        speedup = (times(one.speedup_factor), spread(one.speedup_interval))
        body.append((pattern, code(one.precision or NONE), *latencies, *speedup, how))
    return "## Fused patterns against their parts\n\n" + folded(
        grid(head, body, right={2, 3, 4}), len(body), "all patterns"
    )


def _method(profile: HardwareCalibration) -> str:
    about, steady = profile.metadata, profile.metadata.stability
    facts: list[tuple[str, object]] = [
        ("machine class", about.machine_class),
        ("CPU", about.cpu_model),
        ("device", about.device_name),
        ("compute capability", about.compute_capability),
        ("driver", about.driver_version),
        ("PyTorch", about.pytorch_version),
        ("CUDA", about.cuda_version),
        ("NumPy", about.numpy_version),
        ("Python", about.python_version),
        ("system", about.os),
        ("instruction set of PyTorch", about.cpu_capability),
        ("threads", about.num_threads),
        *((f"thread setting {name}", value) for name, value in about.thread_settings.items()),
        ("FP32 matrix products", about.fp32_matmul_precision),
        ("TF32 in matrix products", about.tf32_matmul),
        ("TF32 in convolutions", about.tf32_convolution),
        ("intervals", about.interval_method),
        ("preset", about.preset),
        ("its source", about.preset_source),
        ("platform check", about.platform_check),
        ("verify-amp", about.calibration_tool_version),
    ]
    if steady is not None:
        change = None if steady.change_percent is None else f"{steady.change_percent:+.1f} % from beginning to end"
        facts += [("reference kernel", steady.reference), ("its change", change)]
        facts += [("processors busy with others", _percent(steady.busy_percent))]
        facts += [("taken by the host", _percent(steady.steal_percent))]
    return grid(
        ("", ""), [(escaped(name), prose(str(value))) for name, value in facts if value is not None], right=set()
    )


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f} %"
