"""Decides how losses are drawn: FP32 and AMP on the same axes, the same bytes for the same figures."""

from __future__ import annotations

import importlib.util
import io
import math
import re
from typing import TYPE_CHECKING, Any

from reports.facts import Row, numbers, rows, section, text
from verifier.api import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verifier.api import RunReport

FOLDER = "plots"
# A broad light line below a thin dark one with markers: told apart by lightness and form, not only by hue.
_FP32: dict[str, Any] = {"color": "#7db8e8", "linewidth": 4.0, "solid_capstyle": "round"}
_AMP: dict[str, Any] = {"color": "#a33400", "linewidth": 1.3, "linestyle": "--", "marker": "o", "markersize": 3.2}
_DIFFERENCE: dict[str, Any] = {"color": "#444444", "linewidth": 1.1}
_MARKERS = 20
_SETTINGS: Any = {"svg.hashsalt": "verify", "svg.fonttype": "none", "text.parse_math": False}


def available() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def loss_plots(report: RunReport) -> dict[str, tuple[str, str]]:
    """Return the file name and the SVG of every workload that recorded losses, by workload."""
    drawn: dict[str, tuple[str, str]] = {}
    taken: set[str] = set()
    for workload in _workloads(report):
        fp32, amp = (numbers(section(workload, run), "losses") for run in ("fp32", "amp"))
        if fp32 or amp:
            drawn[text(workload, "name")] = _file_name(text(workload, "name"), taken), draw_losses(workload)
    return drawn


def draw_losses(workload: Row) -> str:
    """Draw one workload, the difference of the two runs below. The Figure is used directly: pyplot keeps state."""
    return picture((7.2, 4.4), lambda figure: _draw(figure, workload))


def picture(inches: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Return what is drawn as SVG: the same bytes for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def tidy(axes: Axes) -> None:
    """Leave of a panel's frame what is read: a light grid, and the axes left and below."""
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _workloads(report: RunReport) -> Iterator[Row]:
    for stage in report.stages:
        yield from rows(stage.facts, "workloads")


def _draw(figure: Figure, workload: Row) -> None:
    fp32, amp = section(workload, "fp32"), section(workload, "amp")
    before, after = numbers(fp32, "losses"), numbers(amp, "losses")
    paired = bool(before) and len(before) == len(after)
    panels = figure.subplots(
        2 if paired else 1, 1, sharex=True, squeeze=False, height_ratios=(3, 1) if paired else None
    )
    axes: list[Axes] = [row[0] for row in panels]
    _curve(axes[0], "FP32", fp32, before, _FP32)
    _curve(axes[0], "AMP", amp, after, _AMP)
    axes[0].set_ylabel("training loss")
    axes[0].legend(frameon=False)
    axes[0].set_title(_title(workload), fontsize=11)
    if paired:
        difference = _finite([late - early for early, late in zip(before, after, strict=True)])
        axes[1].plot(range(1, len(difference) + 1), difference, **_DIFFERENCE)
        axes[1].axhline(0.0, color="#999999", linewidth=0.8)
        axes[1].set_ylabel("AMP \N{MINUS SIGN} FP32")
    axes[-1].set_xlabel("optimizer step")
    axes[-1].locator_params(axis="x", integer=True)
    for panel in axes:
        tidy(panel)


def _curve(axes: Axes, name: str, run: Row, losses: list[float], style: dict[str, Any]) -> None:
    if not losses:
        return
    lost = sum(not math.isfinite(loss) for loss in losses)
    note = f", {lost} of {len(losses)} not finite" if lost else ""
    named = f"{name} ({label(text(run, 'precision', 'unknown'))}{note})"
    every = max(1, len(losses) // _MARKERS)
    axes.plot(range(1, len(losses) + 1), _finite(losses), label=named, markevery=every, **style)


def _finite(values: list[float]) -> list[float]:
    """Return the values with a gap where one is not finite."""
    return [value if math.isfinite(value) else math.nan for value in values]


def _title(workload: Row) -> str:
    device = label(text(workload, "device", "unknown device"))
    return f"{label(text(workload, 'name'))} on {device}: loss in FP32 and under AMP"


def label(words: str) -> str:
    """Write text for a drawing; what lies outside ASCII is escaped, for no font has every glyph."""
    return one_line(words, 50).encode("ascii", "backslashreplace").decode("ascii")[:80]


def _file_name(name: str, taken: set[str]) -> str:
    slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:60] or "workload"
    while slug in taken:
        slug += "-2"
    taken.add(slug)
    return f"{FOLDER}/loss-{slug}.svg"
