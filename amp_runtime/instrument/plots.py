"""A picture of a watched run: loss and loss scale over its training steps, with what was skipped and planted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as error:
    raise ImportError("plots need matplotlib: pip install 'verify-amp[plots]'") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .records import SanitizerReport, StepSeen

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#7F7F7F"  # Okabe and Ito's, as in amp_runtime.plots


def plot_timeline(report: SanitizerReport) -> Figure:
    """Draw loss (unscaled) and loss scale (powers of two) over training steps; steps with no loss read are gaps.

    Raises:
        ValueError: the report has no steps.
    """
    if not report.timeline:
        raise ValueError("there is nothing to draw: the report has no training step")
    scaled = any(seen.scale is not None for seen in report.timeline)
    figure = Figure(figsize=(8, 5.5 if scaled else 3), layout="constrained")
    axes = figure.subplots(2 if scaled else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw(axes[0], report.timeline, [seen.loss for seen in report.timeline], "loss")
    if scaled:
        _draw(axes[1], report.timeline, [seen.scale for seen in report.timeline], "loss scale")
        axes[1].set_yscale("log", base=2)
    axes[-1].set_xlabel("training step")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw(axes: Axes, timeline: tuple[StepSeen, ...], values: list[float | None], label: str) -> None:
    steps = [seen.step for seen in timeline]
    heights = [math.nan if value is None or not math.isfinite(value) else value for value in values]
    axes.plot(steps, heights, color=_BLUE, marker="." if len(steps) <= 60 else "", linewidth=1.4)
    for name, chosen, colour in (
        ("skipped", [seen.step for seen in timeline if seen.skipped and not seen.planted], _ORANGE),
        ("planted fault", [seen.step for seen in timeline if seen.planted], _GREY),
    ):
        if chosen:
            top = [1.0] * len(chosen)
            edge = axes.get_xaxis_transform()
            axes.plot(chosen, top, "v", color=colour, transform=edge, label=f"{name} ({len(chosen)})", clip_on=False)
    axes.set_ylabel(label)
    axes.grid(visible=True, color=_GREY, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=2, frameon=False, fontsize=9)
