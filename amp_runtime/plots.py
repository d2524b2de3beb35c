"""Pictures of a run: loss, perplexity, gradient norm, learning rate and loss scale over its optimizer steps.

Needs matplotlib (`pip install 'verify-amp[plots]'`). Figures are made without pyplot, so nothing global changes and no
window is needed. Colours are Okabe and Ito's, told apart with every kind of colour vision (Okabe and Ito, Color
Universal Design, 2008); lines also differ in marker or width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, NullFormatter
except ImportError as error:
    raise ImportError("plots need matplotlib: pip install 'verify-amp[plots]'") from error

from amp_runtime.metrics_tracker import MetricsTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from amp_runtime.history import History

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#7F7F7F"
_SMOOTH_FROM = 50  # points from which a running mean is drawn over a curve
_X = "optimizer step"


@dataclass(frozen=True, slots=True)
class _Curve:
    steps: list[int]
    values: list[float]


def plot_loss(run: MetricsTracker | History) -> Figure:
    """Draw training and validation loss (mean per prediction, in the unit of the objective)."""
    return _single(run, _loss)


def plot_perplexity(run: MetricsTracker | History) -> Figure:
    """Draw perplexity, e to the loss in nats; only for losses that are cross entropies does it mean anything."""
    return _single(run, _perplexity)


def plot_grad_norm(run: MetricsTracker | History) -> Figure:
    """Draw the L2 norm of the true gradients before clipping; steps where it was inf or NaN are marked."""
    return _single(run, _grad_norm)


def plot_learning_rate(run: MetricsTracker | History) -> Figure:
    """Draw the learning rate of the first parameter group."""
    return _single(run, _learning_rate)


def plot_loss_scale(run: MetricsTracker | History) -> Figure:
    """Draw the loss scale by powers of two, with the steps that it made the scaler skip.

    Raises:
        ValueError: the run had no loss scaling.
    """
    if not _curve(_table(run), "loss_scale").steps:
        raise ValueError("this run had no loss scaling, so there is no loss scale to draw")
    return _single(run, _loss_scale)


def plot_run(run: MetricsTracker | History) -> Figure:
    """Draw all of it on one page; the loss scale only where there was one."""
    table = _table(run)
    drawings = [_loss, _perplexity, _grad_norm, _learning_rate]
    if _curve(table, "loss_scale").steps:
        drawings.append(_loss_scale)
    rows = math.ceil(len(drawings) / 2)
    figure = Figure(figsize=(11, 3.6 * rows), dpi=120, layout="constrained")
    grid = figure.add_gridspec(rows, 2)
    for number, draw in enumerate(drawings):
        row, column = divmod(number, 2)
        alone = column == 0 and number == len(drawings) - 1
        draw(figure.add_subplot(grid[row, :] if alone else grid[row, column]), table)
    return figure


def save_plots(run: MetricsTracker | History, folder: str | Path) -> tuple[Path, ...]:
    """Write every picture that the run has data for to `folder` as PNG; returns the files, `run.png` last.

    Raises:
        ValueError: the run has no steps.
        OSError: the folder cannot be written.
    """
    table = _table(run)
    pictures = {
        "loss": plot_loss,
        "perplexity": plot_perplexity,
        "grad_norm": plot_grad_norm,
        "learning_rate": plot_learning_rate,
        "loss_scale": plot_loss_scale,
        "run": plot_run,
    }
    if not _curve(table, "loss_scale").steps:
        del pictures["loss_scale"]
    Path(folder).mkdir(parents=True, exist_ok=True)
    files = []
    for name, plot in pictures.items():
        files.append(Path(folder) / f"{name}.png")
        plot(table).savefig(files[-1])
    return tuple(files)


def _table(run: MetricsTracker | History) -> MetricsTracker:
    table = run if isinstance(run, MetricsTracker) else MetricsTracker.of(run)
    if not table.records():
        raise ValueError("the run has no steps, so there is nothing to draw")
    return table


def _single(run: MetricsTracker | History, draw: Callable[[Axes, MetricsTracker], None]) -> Figure:
    figure = Figure(figsize=(8, 4.2), dpi=120, layout="constrained")
    draw(figure.subplots(), _table(run))
    return figure


def _loss(axes: Axes, table: MetricsTracker) -> None:
    _trained(axes, _curve(table, "train_loss", trained=True), "training")
    _points(axes, _curve(table, "validation_loss"), "validation")
    _finish(axes, "Loss", "mean loss per prediction")


def _perplexity(axes: Axes, table: MetricsTracker) -> None:
    losses = _curve(table, "train_loss", trained=True)
    trained = _only_finite(losses.steps, [_exp(loss) for loss in losses.values])
    validated = _curve(table, "validation_perplexity")
    _trained(axes, trained, "training")
    _points(axes, validated, "validation")
    _logarithmic(axes, [*trained.values, *validated.values])
    _finish(axes, "Perplexity", "perplexity (e to the loss)")


def _grad_norm(axes: Axes, table: MetricsTracker) -> None:
    columns = table.columns()
    norms = _curve(table, "grad_norm")
    _trained(axes, norms, "norm")
    bad = [int(s) for s, norm in zip(columns["step"], columns["grad_norm"], strict=True) if not math.isfinite(norm)]
    _logarithmic(axes, norms.values)
    _marks(axes, bad, "inf or NaN")
    _finish(axes, "Gradient norm", "L2 norm before clipping")


def _learning_rate(axes: Axes, table: MetricsTracker) -> None:
    curve = _curve(table, "lr")
    axes.plot(curve.steps, curve.values, color=_BLUE, linewidth=1.8, label="learning rate")
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    _finish(axes, "Learning rate", "learning rate per step")


def _loss_scale(axes: Axes, table: MetricsTracker) -> None:
    columns = table.columns()
    curve = _curve(table, "loss_scale")
    skipped = {int(step) for step, skip in zip(columns["step"], columns["skipped"], strict=True) if skip}
    axes.step(curve.steps, curve.values, where="mid", color=_BLUE, linewidth=1.8, label="loss scale")
    places = [(step, scale) for step, scale in zip(curve.steps, curve.values, strict=True) if step in skipped]
    axes.set_yscale("log", base=2)
    low, high = min(curve.values) / 2, max(curve.values) * 2
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(base=2, numticks=9))
    if places:
        steps, scales = zip(*places, strict=True)
        label = f"skipped step ({len(places)})"
        axes.plot(steps, scales, "X", markersize=8, color=_ORANGE, label=label, clip_on=False)
    _finish(axes, "Loss scale", "factor on the loss (powers of 2)")


def _curve(table: MetricsTracker, name: str, *, trained: bool = False) -> _Curve:
    """Take the finite values of a column, those of skipped steps left out with `trained`."""
    records = [record for record in table.records() if not (trained and record["skipped"])]
    return _only_finite([int(record["step"]) for record in records], [float(record[name]) for record in records])


def _only_finite(steps: Sequence[int], values: Sequence[float]) -> _Curve:
    kept = [(step, value) for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
    return _Curve([step for step, _ in kept], [value for _, value in kept])


def _trained(axes: Axes, curve: _Curve, label: str) -> None:
    """Draw one value per step: as it is while there are few, and under its running mean when there are many."""
    if len(curve.steps) < _SMOOTH_FROM:
        axes.plot(curve.steps, curve.values, color=_BLUE, linewidth=1.8, label=label)
        return
    width = max(2, len(curve.steps) // 25)
    axes.plot(curve.steps, curve.values, color=_BLUE, alpha=0.3, linewidth=0.8, label=f"{label}, each step")
    smooth = _running_mean(curve.values, width)
    axes.plot(curve.steps, smooth, color=_BLUE, linewidth=2, label=f"mean of {width} steps")


def _points(axes: Axes, curve: _Curve, label: str) -> None:
    if curve.steps:
        axes.plot(curve.steps, curve.values, "--o", color=_ORANGE, linewidth=1.5, markersize=5, label=label)


def _marks(axes: Axes, steps: Sequence[int], label: str) -> None:
    """Mark steps that have no finite value at the upper edge of the picture."""
    if steps:
        top, edge = [1.0] * len(steps), axes.get_xaxis_transform()
        label = f"{label} ({len(steps)})"
        axes.plot(steps, top, "v", color=_ORANGE, markersize=7, transform=edge, label=label, clip_on=False)


def _running_mean(values: Sequence[float], width: int) -> list[float]:
    """Average the last `width` values of each place; fewer at the beginning."""
    means, total = [], 0.0
    for place, value in enumerate(values):
        total += value - (values[place - width] if place >= width else 0.0)
        means.append(total / min(place + 1, width))
    return means


def _logarithmic(axes: Axes, values: Sequence[float]) -> None:
    positive = [value for value in values if value > 0]
    # Within less than a decade a logarithmic axis has one label or none.
    if positive and max(positive) / min(positive) >= 20:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatterMathtext())
        axes.yaxis.set_minor_formatter(NullFormatter())


def _finish(axes: Axes, title: str, label: str) -> None:
    named = axes.get_legend_handles_labels()[0]
    # The legend stands between title and picture, where it hides nothing.
    axes.set_title(title, fontsize=11, fontweight="bold", loc="left", pad=32 if len(named) > 1 else 10)
    axes.set_xlabel(_X)
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, which="major", color=_GREY, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(named) > 1:
        style = {"frameon": False, "fontsize": 9, "borderaxespad": 0.0, "columnspacing": 1.4}
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.04), ncols=len(named), **style)


def _exp(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
