"""Decides how a profile is drawn: roofs of memory and of each precision, and where single operations stand under them.

The roofline model: Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
Architectures", Communications of the ACM 52(4), 2009. Needs matplotlib (`pip install 'verify-amp[plots]'`).
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amp_runtime.calibration.figures import figure
from amp_runtime.calibration.rows import operation_rows, ordered, precision_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amp_runtime.calibration.rows import PrecisionRow
    from amp_runtime.calibration.schema import HardwareCalibration

NO_MATPLOTLIB = "matplotlib is not installed (pip install 'verify-amp[plots]')"
# Okabe and Ito's colours; marks differ too, so that no precision is told by its colour alone.
_STYLES = {
    "fp64": ("#000000", "D"),
    "fp32": ("#0072B2", "o"),
    "tf32": ("#56B4E9", "P"),
    "bf16": ("#D55E00", "^"),
    "fp16": ("#009E73", "v"),
    "fp8_e4m3": ("#CC79A7", "<"),
    "fp8_e5m2": ("#8A5A83", ">"),
    "int8": ("#B8860B", "s"),
}
_OTHER = ("#7F7F7F", "X")
_SETTINGS: Any = {"svg.hashsalt": "verify", "svg.fonttype": "none", "text.parse_math": False}


@dataclass(frozen=True, slots=True)
class Point:
    """An operation in a precision: FLOP per byte, GFLOP/s."""

    precision: str
    intensity: float
    gflops: float


def available() -> bool:
    """Say whether pictures can be drawn."""
    return importlib.util.find_spec("matplotlib") is not None


def points(profile: HardwareCalibration) -> list[Point]:
    """Return every operation that both computes and moves bytes."""
    found = [
        Point(row.precision, row.result.arithmetic_intensity, row.result.measured_gflops)
        for row in operation_rows(profile)
        if row.result.supported and row.result.arithmetic_intensity and row.result.measured_gflops
    ]
    return sorted(found, key=lambda one: (one.precision, one.intensity, one.gflops))


def undrawable(profile: HardwareCalibration) -> str | None:
    """Say why a profile cannot be drawn; None where it can."""
    if not points(profile):
        return "no operation of the profile has both a rate and an intensity"
    return None if available() else NO_MATPLOTLIB


def draw(profile: HardwareCalibration, form: str = "svg") -> bytes:
    """Draw the roofline on log-log axes; the same bytes for the same profile.

    Args:
        form: `"svg"` or `"png"`.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: there is nothing to draw.
    """
    if (reason := undrawable(profile)) is not None:
        raise ImportError(reason) if reason == NO_MATPLOTLIB else ValueError(reason)
    import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_SETTINGS):
        picture = Figure(figsize=(8.6, 5.2), layout="constrained", dpi=120)
        _fill(picture.subplots(), profile)
        buffer = io.BytesIO()
        kept = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        picture.savefig(buffer, format=form, metadata=kept)
    return buffer.getvalue()


def _fill(axes: Axes, profile: HardwareCalibration) -> None:
    found = points(profile)
    lowest, highest = _limits([one.intensity for one in found], 2.0)
    roofs = {row.precision: row for row in precision_rows(profile) if row.best is not None}
    tops = [row.best.measured_gflops or 0.0 for row in roofs.values() if row.best is not None]
    tops += [row.peak for row in roofs.values() if row.peak]
    bottom, top = _limits([*(one.gflops for one in found), *tops], 2.0)
    _scale(axes, (lowest, highest), (bottom, top))
    for name, row in roofs.items():
        _roof(axes, profile, name, row.best.measured_gflops if row.best else None, row.peak, (lowest, highest))
    for name in ordered({one.precision for one in found}):
        colour, mark = _STYLES.get(name, _OTHER)
        own = [one for one in found if one.precision == name]
        axes.plot(
            [one.intensity for one in own],
            [one.gflops for one in own],
            mark,
            color=colour,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=_label(name, roofs),
            zorder=3,
        )
    _memory(axes, profile, (lowest, highest))
    if any(row.peak for row in roofs.values()):
        axes.plot([], [], ":", color="#444444", linewidth=1.1, label="stated dense peaks")
    _finish(axes, profile)


def _label(name: str, roofs: Mapping[str, PrecisionRow]) -> str:
    best = roofs[name].best if name in roofs else None
    return f"{name}, best {figure(best.measured_gflops)}" if best else name or "measured"


def _scale(axes: Axes, across: tuple[float, float], up: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter  # noqa: PLC0415 - with the figure

    for set_scale, set_limits, limits, axis in (
        (axes.set_xscale, axes.set_xlim, across, axes.xaxis),
        (axes.set_yscale, axes.set_ylim, up, axes.yaxis),
    ):
        set_scale("log")
        set_limits(*limits)
        axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())


def _limits(values: Sequence[float], margin: float) -> tuple[float, float]:
    return min(values) / margin, max(values) * margin


def _roof(
    axes: Axes,
    profile: HardwareCalibration,
    name: str,
    measured: float | None,
    peak: float | None,
    span: tuple[float, float],
) -> None:
    """Draw a precision's roof from where memory stops to bind it, and its theoretical peak dotted."""
    colour, _ = _STYLES.get(name, _OTHER)
    for height, bandwidth, style, width in (
        (measured, profile.measured_bandwidth_gbps, "-", 1.6),
        (peak, profile.theoretical_bandwidth_gbps, ":", 1.1),
    ):
        if height is not None:
            ridge = max(span[0], height / bandwidth) if bandwidth else span[0]
            axes.plot([min(ridge, span[1]), span[1]], [height, height], style, color=colour, linewidth=width, zorder=2)


def _memory(axes: Axes, profile: HardwareCalibration, span: tuple[float, float]) -> None:
    """Draw the slope of memory up to the highest roof, measured and theoretical."""
    rows = [row for row in precision_rows(profile) if row.best is not None]
    measured = max((row.best.measured_gflops or 0.0 for row in rows if row.best), default=0.0)
    peak = max((row.peak or 0.0 for row in rows), default=0.0)
    for bandwidth, height, style, word in (
        (profile.measured_bandwidth_gbps, measured, "-", "memory"),
        (profile.theoretical_bandwidth_gbps, peak, ":", "stated memory"),
    ):
        if bandwidth and height:
            end = min(span[1], height / bandwidth)
            label = f"{word} {figure(bandwidth)} GB/s"
            axes.plot([span[0], end], [span[0] * bandwidth, end * bandwidth], style, color="#444444", label=label)


def _finish(axes: Axes, profile: HardwareCalibration) -> None:
    axes.set_xlabel("operations per byte that must move at least")
    axes.set_ylabel("GFLOP/s (int8: 10^9 operations a second)")
    name = profile.metadata.hardware_name
    shown = "".join(c for c in name if c.isprintable())[:60]
    axes.set_title(f"Roofline of {shown}, measured", fontsize=11)
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.figure.legend(loc="outside right upper", fontsize=8, frameon=False)
