"""Decides how measurements are drawn: step times, speedups, memory, saved runs and the roofline, as SVG."""

from __future__ import annotations

import functools
import itertools
import math
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reports.facts import Row, as_number, numbers, rows, section, text
from reports.plots import FOLDER, label, picture, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verifier.api import RunReport

STAGE = "performance"
_LIMIT = 12  # workloads in one picture
_NAME_LIMIT = 34
# As in the loss curves: FP32 light and broad, AMP dark. The kinds of memory are Okabe and Ito's colours, with hatches.
_FP32, _AMP, _BOUND, _GREY = "#7db8e8", "#a33400", "#222222", "#777777"
_KINDS = (
    ("weights", "weights", "#0072B2", ""),
    ("gradients", "gradients", "#56B4E9", ""),
    ("optimizer_state", "optimizer state", "#009E73", "//"),
    ("activations", "activations for backward", "#E69F00", ""),
    ("weight_copies", "copies of weights", "#CC79A7", ".."),
)
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "bytes"))


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture beside the report, and what it shows for those who do not see it."""

    file: str
    shows: str
    svg: str


def performance_plots(report: RunReport) -> tuple[Plot, ...]:
    """Draw what stage 4 measured; what was not measured has no picture."""
    facts: Row = next((stage.facts for stage in report.stages if stage.name == STAGE), {})
    measured = rows(facts, "measurements")[:_LIMIT]
    plots = [
        _plot("step-times", "How long training steps took in FP32 and under AMP", _step_times, measured),
        _plot(
            "speedups",
            "FP32's step time over AMP's, with its interval",
            _speedups(rows(facts, "requirements")),
            measured,
        ),
        _plot("memory", "What one training step keeps in memory, by kind", _memory, measured),
        _plot("roofline", "AMP's steps below what this machine was measured to reach", _roofline, measured),
        *_histories(facts),
    ]
    return tuple(plot for plot in plots if plot is not None)


def _plot(
    name: str, shows: str, make: Callable[[Sequence[Row]], _Drawing | None], measured: Sequence[Row]
) -> Plot | None:
    drawing = make(measured)
    if drawing is None:
        return None
    return Plot(f"{FOLDER}/performance-{name}.svg", shows, picture((7.2, drawing.height), drawing.draw))


@dataclass(frozen=True, slots=True)
class _Drawing:
    height: float  # inches
    draw: Callable[[Figure], None]


def _comparison(measurement: Row, first: str, second: str) -> Row:
    found = (
        one for one in rows(measurement, "comparisons") if (one.get("first"), one.get("second")) == (first, second)
    )
    return next(found, {})


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value) and value > 0]


def _short(words: str) -> str:
    """Keep the end of a dotted name, which tells workloads apart."""
    shown = label(words)
    return shown if len(shown) <= _NAME_LIMIT else f"...{shown[3 - _NAME_LIMIT :]}"


def _named(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _step_times(measured: Sequence[Row]) -> _Drawing | None:
    series = []
    for one in measured:
        timed = _comparison(one, "fp32", "amp")
        fp32, amp = (_finite(numbers(timed, key)) for key in ("first_s", "second_s"))
        if fp32 and amp:
            series.append((_short(text(one, "name")), fp32, amp))
    return _Drawing(1.5 + 0.62 * len(series), lambda figure: _draw_times(figure, series)) if series else None


def _draw_times(figure: Figure, series: Sequence[tuple[str, list[float], list[float]]]) -> None:
    axes = figure.subplots()
    for row, (_, fp32, amp) in enumerate(series):
        for times, offset, colour in ((fp32, -0.18, _FP32), (amp, 0.18, _AMP)):
            _strip(axes, row + offset, [1000 * one for one in times], colour)
    for colour, name in ((_FP32, "FP32"), (_AMP, "AMP")):
        axes.plot([], [], color=colour, linewidth=5, label=name)
    _named(axes, [name for name, _, _ in series])
    axes.set_xlabel("time of a training step, ms (dots: pairs, box: middle half, line: median)")
    _plain_ticks(axes, "x", [1000 * one for _, fp32, amp in series for one in (*fp32, *amp)])
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    tidy(axes)


def _strip(axes: Axes, y: float, times: list[float], colour: str) -> None:
    """Draw every sample, and the box of the middle half. Dots are spread by their number: always the same picture."""
    spread = [y + 0.1 * ((n * 0.618034) % 1 - 0.5) for n in range(len(times))]
    axes.plot(times, spread, "o", color=colour, markersize=2.4, alpha=0.45, markeredgewidth=0)
    low, middle, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    axes.plot([low, high], [y, y], color=colour, linewidth=7, alpha=0.55, solid_capstyle="butt")
    axes.plot([middle, middle], [y - 0.15, y + 0.15], color=_BOUND, linewidth=1.6)


def _plain_ticks(axes: Axes, name: Literal["x", "y"], values: Sequence[float]) -> None:
    """Make an axis logarithmic, with a few plain numbers, whatever its range."""
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = max(0.05, 0.05 * (high - low))
    ends = 10 ** (low - pad), 10 ** (high + pad)
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    ticks = [m * 10.0**e for e in range(math.floor(low) - 1, math.ceil(high) + 1) for m in steps]
    inside = [tick for tick in ticks if ends[0] <= tick <= ends[1]]
    if len(inside) < 2:
        inside = sorted({min(values), max(values)})
    axes.set(**{f"{name}scale": "log"})
    axes.set(**{f"{name}lim": ends})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_ticks(inside, [f"{tick:.3g}" for tick in inside])
    axis.set_ticks([], minor=True)


def _speedups(requirements: Sequence[Row]) -> Callable[[Sequence[Row]], _Drawing | None]:
    wanted = next((text(one, "text") for one in requirements if text(one, "name") == "speedup"), "")
    bounds = [(float(number), where or "") for number, where in re.findall(r">=?\s*([\d.]+)x?(?: on (\w+))?", wanted)]

    def make(measured: Sequence[Row]) -> _Drawing | None:
        found = [
            (one, ends)
            for one in measured
            if (
                ends := [
                    as_number(section(section(one, "figures"), "speedup").get(key)) for key in ("low", "value", "high")
                ]
            )
            and all(end is not None and math.isfinite(end) and end > 0 for end in ends)
        ]
        pairs = [(one, [float(end) for end in ends if end is not None]) for one, ends in found]
        return (
            _Drawing(1.6 + 0.42 * len(pairs), lambda figure: _draw_speedups(figure, pairs, bounds)) if pairs else None
        )

    return make


def _draw_speedups(
    figure: Figure, found: Sequence[tuple[Row, list[float]]], bounds: Sequence[tuple[float, str]]
) -> None:
    axes = figure.subplots()
    for row, (one, (low, value, high)) in enumerate(found):
        native = one.get("native") is not False
        axes.plot([low, high], [row, row], color=_AMP, linewidth=2.2, solid_capstyle="butt")
        axes.plot(value, row, "o", markersize=7, color=_AMP, markerfacecolor=_AMP if native else "white")
    axes.axvline(1.0, color=_GREY, linewidth=1, label="as fast as FP32")
    for (number, where), dashes in zip(bounds, ("--", "-.", ":") * len(bounds), strict=False):
        axes.axvline(
            number,
            color=_BOUND,
            linewidth=1.4,
            linestyle=dashes,
            label=f"required: {number:g}{f' on {where}' if where else ''}",
        )
    if any(one.get("native") is False for one, _ in found):
        axes.plot([], [], "o", color=_AMP, markerfacecolor="white", label="format only emulated here")
    _named(axes, [_short(text(one, "name")) for one, _ in found])
    axes.set_xlabel("speedup: FP32's step time over AMP's (line: interval)")
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), fontsize=9)
    tidy(axes)


def _memory(measured: Sequence[Row]) -> _Drawing | None:
    bars = []
    for one in measured:
        for mode, name in (("fp32", "FP32"), ("amp", "AMP")):
            kept = section(section(section(one, "modes"), mode), "memory")
            sizes = [as_number(kept.get(kind)) or 0.0 for kind, *_ in _KINDS]
            if sum(sizes) > 0:
                bars.append((f"{_short(text(one, 'name'))}  {name}", sizes))
    return _Drawing(1.6 + 0.3 * len(bars), lambda figure: _draw_memory(figure, bars)) if bars else None


def _draw_memory(figure: Figure, bars: Sequence[tuple[str, list[float]]]) -> None:
    axes = figure.subplots()
    largest = max(sum(sizes) for _, sizes in bars)
    scale, unit = next((scale, unit) for scale, unit in _UNITS if largest >= scale)
    begin = [0.0] * len(bars)
    for index, (_, name, colour, hatch) in enumerate(_KINDS):
        sizes = [sizes[index] / scale for _, sizes in bars]
        axes.barh(
            range(len(bars)),
            sizes,
            left=begin,
            height=0.72,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
            label=name,
        )
        begin = [a + b for a, b in zip(begin, sizes, strict=True)]
    _named(axes, [name for name, _ in bars])
    axes.set_xlabel(f"bytes of one training step, {unit}")
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), fontsize=8)
    tidy(axes)


def _roofline(measured: Sequence[Row]) -> _Drawing | None:
    points = []
    for one in measured:
        roof, amp = section(one, "roofline"), section(section(one, "modes"), "amp")
        values = [
            as_number(row.get(key))
            for row, key in (
                (roof, "peak_gflops"),
                (roof, "bandwidth_gbps"),
                (amp, "flops"),
                (amp, "bytes"),
                (amp, "step_s"),
            )
        ]
        known = [value for value in values if value is not None and math.isfinite(value) and value > 0]
        if len(known) == len(values):
            points.append((_short(text(one, "name")), *known))
    return _Drawing(4.2, lambda figure: _draw_roofline(figure, points)) if points else None


def _draw_roofline(figure: Figure, points: Sequence[tuple[Any, ...]]) -> None:
    axes = figure.subplots()
    _, peak, bandwidth, *_ = points[0]
    placed = [(name, flops / moved, flops / step_s / 1e9) for name, _, _, flops, moved, step_s in points]
    ridge = peak / bandwidth
    ends = [min(ridge / 4, *(x for _, x, _ in placed)) / 2, max(4 * ridge, *(x for _, x, _ in placed)) * 2]
    axes.plot(
        [ends[0], ridge, ends[1]],
        [ends[0] * bandwidth, peak, peak],
        color=_BOUND,
        linewidth=2,
        label="measured limit of this machine",
    )
    for number, (name, x, y) in enumerate(placed):
        axes.plot(x, y, marker="osD^vP*X<>hd"[number % 12], color=_AMP, markersize=7, linestyle="", label=name)
        roof = min(peak, x * bandwidth)
        if y < roof:
            axes.plot([x, x], [y, roof], color=_GREY, linewidth=0.8, linestyle=":")
    _plain_ticks(axes, "x", ends)
    _plain_ticks(axes, "y", [peak, ends[0] * bandwidth, *(y for _, _, y in placed)])
    axes.set_xlabel("operations per byte of a step, FLOP/byte")
    axes.set_ylabel("GFLOP/s")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    tidy(axes)


def _histories(facts: Row) -> Iterator[Plot]:
    for number, baseline in enumerate(rows(facts, "baselines")):
        series = [one for one in rows(baseline, "history") if rows(one, "points")][:_LIMIT]
        if series:
            now = {(text(one, "name"), text(one, "mode")): one for one in rows(baseline, "now")}
            suffix = f"-{number + 1}" if number else ""
            draw = functools.partial(_draw_history, series=series, now=now)
            drawn = picture((7.2, 0.6 + 1.75 * len(series)), draw)
            yield Plot(f"{FOLDER}/performance-history{suffix}.svg", "Step times of saved runs and of this one", drawn)


def _draw_history(figure: Figure, series: Sequence[Row], now: dict[tuple[str, str], Row]) -> None:
    panels = figure.subplots(len(series), 1, squeeze=False)
    for axes, one in zip((row[0] for row in panels), series, strict=True):
        _draw_saved(axes, one, now.get((text(one, "name"), text(one, "mode")), {}))
        axes.set_title(f"{_short(text(one, 'name'))} ({label(text(one, 'mode'))})", fontsize=9, loc="left")
        axes.set_ylabel("step time /\nreference work", fontsize=8)
        tidy(axes)


def _draw_saved(axes: Axes, one: Row, now: Row) -> None:
    """Draw the saved runs in their order, a line where the program changed, and this run behind them."""
    points = [point for point in rows(one, "points") if _ends(point)]
    latest = [now] if _ends(now) else []
    _errors(axes, 0, points, color=_AMP, marker="o")
    _errors(axes, len(points), latest, color=_BOUND, marker="D", markerfacecolor="white")
    for place, (before, after) in enumerate(itertools.pairwise(points)):
        if before.get("level") != after.get("level"):
            axes.axvline(place + 0.5, color=_GREY, linewidth=1, linestyle=":")
    ticks = [*(text(point, "saved_at")[:10] for point in points), *("this run" for _ in latest)]
    every = max(1, math.ceil(len(ticks) / 7))
    shown = sorted({*range(0, len(ticks), every), len(ticks) - 1} - {-1})
    axes.set_xticks(shown, [label(ticks[place]) for place in shown], fontsize=8)
    axes.set_xlim(-0.5, max(1, len(ticks)) - 0.5)
    if ends := [end for point in (*points, *latest) for end in _ends(point)]:
        axes.set_ylim(0.9 * min(ends), 1.05 * max(ends))


def _ends(point: Row) -> tuple[float, ...]:
    """Return low end, figure and high end; nothing where the figure is none. An end that is none is at the figure."""
    low, step, high = (as_number(point.get(key)) for key in ("low", "step", "high"))
    if step is None or not math.isfinite(step) or step <= 0:
        return ()
    known = [end if end is not None and math.isfinite(end) else step for end in (low, high)]
    return min(known[0], step), step, max(known[1], step)


def _errors(axes: Axes, first: int, points: Sequence[Row], **style: Any) -> None:
    ends = [_ends(point) for point in points]
    places, steps = range(first, first + len(ends)), [step for _, step, _ in ends]
    reach = [[step - low for low, step, _ in ends], [high - step for _, step, high in ends]]
    axes.errorbar(places, steps, yerr=reach, linestyle="", capsize=2.5, markersize=4, linewidth=1.2, **style)
