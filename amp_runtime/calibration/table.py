"""Decides what the terminal shows of a profile: what was measured, precision by precision, and what to beware of."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from amp_runtime.calibration.figures import NONE, figure, share, spread, times, with_spread
from amp_runtime.calibration.rows import (
    OperationRow,
    is_measured,
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

_WIDTH = 100
_WARNINGS = 8
_NAME_LIMIT = 34


def table(profile: HardwareCalibration) -> str:
    """Return a profile as text of at most about 100 columns, without colour or control characters."""
    parts = [_head(profile), _precisions(profile), _memory(profile)]
    parts += [
        _operations("operations that compute, GFLOP/s", profile, in_bytes=False),
        _operations("operations that move bytes, GB/s", profile, in_bytes=True),
        _fusions(profile),
        _warnings(profile),
    ]
    return _printable("\n\n".join(part for part in parts if part))


def _head(profile: HardwareCalibration) -> str:
    about = profile.metadata
    where = f"{about.hardware_name} ({about.device_type}, {about.platform_architecture})"
    software = [f"PyTorch {about.pytorch_version}" if about.pytorch_version else "", _threads(profile)]
    kind = {True: "quick run", False: "full run", None: "run"}[about.quick]
    took = f" of {about.duration_s:.0f} s" if about.duration_s is not None else ""
    lines = [where, ", ".join([f"{kind}{took}, {about.calibration_date[:16]}", *(part for part in software if part)])]
    if unsteady(profile):
        lines.append("NOT STEADY: the machine changed or was busy meanwhile, so no figure here is reliable (see below)")
    return "\n".join([*lines, *_wrapped(_about_peaks(profile))])


def _threads(profile: HardwareCalibration) -> str:
    count = profile.metadata.num_threads
    return "" if count is None else f"{count} thread{'s' * (count != 1)}"


def _about_peaks(profile: HardwareCalibration) -> str:
    about = profile.metadata
    if about.preset is None:
        known = profile.theoretical_peak_gflops is not None
        return "" if known else "no preset is of this device, so there are no theoretical peaks and no efficiencies"
    bound = "; an upper bound, so every efficiency is at least what is shown" if about.upper_bound else ""
    return f"peaks: dense, of preset {about.preset}{bound}"


def _precisions(profile: HardwareCalibration) -> str:
    rows = precision_rows(profile)
    if not rows:
        return ""
    head = ("precision", "runs", "best GFLOP/s", "95 % interval", "of peak", "vs fp32", "in")
    lines = aligned([head, *(_precision(row) for row in rows if row.best)], right={2, 4, 5})
    for row in rows:
        if row.best is None:
            lines += _wrapped(f"{row.precision:<9}  {row.state:<8}  {row.reason}", indent=" " * 21)
    return "\n".join(lines)


def _precision(row: PrecisionRow) -> tuple[str, ...]:
    best = row.best
    return (
        row.precision,
        row.state,
        figure(best.measured_gflops if best else None),
        spread(best.gflops_interval if best else None),
        row.of_peak,
        times(row.speedup),
        _short(row.where),
    )


def _memory(profile: HardwareCalibration) -> str:
    measured = profile.measured_bandwidth_gbps
    if measured is None:
        return ""
    bound = profile.metadata.upper_bound
    reached = share(profile.bandwidth_efficiency, profile.bandwidth_efficiency_flag, upper_bound=bound)
    peak = profile.theoretical_bandwidth_gbps
    of = "" if peak is None else f", {reached} of {figure(peak)}"
    return f"memory bandwidth {with_spread(measured, profile.bandwidth_interval_gbps)} GB/s{of}"


def _operations(title: str, profile: HardwareCalibration, *, in_bytes: bool) -> str:
    rows = [row for row in operation_rows(profile) if row.in_bytes is in_bytes]
    if not rows:
        return ""
    precisions = ordered({row.precision for row in rows if is_measured(row)})
    by_name: dict[str, dict[str, OperationRow]] = {}
    for row in rows:
        by_name.setdefault(row.name, {})[row.precision] = row
    table = [(title, *(name or "figure" for name in precisions))]
    table += [(_short(name), *(_cell(found.get(one)) for one in precisions)) for name, found in by_name.items()]
    return "\n".join(aligned(table, right=set(range(1, len(precisions) + 1))))


def _cell(row: OperationRow | None) -> str:
    return NONE if row is None else figure(rate(row)[0])


def _fusions(profile: HardwareCalibration) -> str:
    timed = [one for one in profile.fusion_profiles.values() if one.speedup_factor is not None]
    if not timed:
        return ""
    rows = [("fused patterns", "precision", "parts ms", "fused ms", "speedup", "95 % interval")]
    for one in timed:
        figures = (figure(one.unfused_latency_ms), figure(one.fused_latency_ms), times(one.speedup_factor))
        rows.append((_short(one.fusion_pattern), one.precision or NONE, *figures, spread(one.speedup_interval)))
    return "\n".join(aligned(rows, right={2, 3, 4}))


def _warnings(profile: HardwareCalibration) -> str:
    said = warnings(profile)
    lines = [line for one in said[:_WARNINGS] for line in _wrapped(f"warning: {one}", indent="  ")]
    if len(said) > _WARNINGS:
        lines.append(f"and {len(said) - _WARNINGS} more warnings; the report has them all")
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]], *, right: set[int]) -> list[str]:
    """Set cells below each other, two spaces apart; columns of `right` end at the same place."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _short(text: str) -> str:
    return text if len(text) <= _NAME_LIMIT else f"{text[: _NAME_LIMIT - 3]}..."


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(" ".join(text.split()) if indent == "  " else text, _WIDTH, subsequent_indent=indent)


def _printable(text: str) -> str:
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
