"""Draws loss and loss scale over the training steps of a watched run, as SVG and by hand: no package is needed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.escape import html_text
from reports.facts import Row, as_number, rows, section, text
from reports.figures import figure
from verifier.api import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verifier.api import RunReport

FOLDER = "plots"
_LIMIT = 12  # pictures of one report
_WIDTH, _LEFT, _RIGHT, _TOP, _PANEL, _GAP = 720, 76, 16, 34, 170, 34
_LOSS, _SCALE, _MARK, _GRID, _TEXT = "#0072B2", "#D55E00", "#7F7F7F", "#DDDDDD", "#333333"
_LEGEND = "upright lines: steps left out; dashed: a planted fault"

Points = list[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class _Panel:
    """One curve and where it stands. `low` and `high` are the ends of its axis, logarithms of base 2 where `log`."""

    title: str
    points: Points
    colour: str
    top: float
    low: float
    high: float
    log: bool

    def y(self, value: float) -> float:
        shown = math.log2(value) if self.log else value
        return self.top + _PANEL * (1 - (shown - self.low) / (self.high - self.low))


def timeline_plots(report: RunReport) -> dict[str, tuple[str, str]]:
    """Return the file name and the picture of each run that has steps and is not in FP32, by the run's name."""
    drawn: dict[str, tuple[str, str]] = {}
    for stage in report.stages:
        for run in rows(stage.facts, "sanitizer"):
            name = text(run, "run")
            if run.get("amp") and len(drawn) < _LIMIT and (picture := draw(run)):
                slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:60] or "run"
                taken = {file for file, _ in drawn.values()}
                file = f"{FOLDER}/steps-{slug}.svg"
                while file in taken:
                    file = file.removesuffix(".svg") + "-2.svg"
                drawn[name] = file, picture
    return drawn


def draw(run: Row) -> str:
    """Return the SVG; empty where no step has a loss or a scale that was read."""
    timeline = section(run, "timeline")
    steps = [number for number in _numbers(timeline, "step") if number is not None]
    curves = [("loss", "loss", _LOSS, False), ("scale", "loss scale", _SCALE, True)]
    panels: list[_Panel] = []
    for key, title, colour, log in curves:
        values = _numbers(timeline, key)
        points: Points = [(step, _drawable(value, log=log)) for step, value in zip(steps, values, strict=False)]
        if any(value is not None for _, value in points):
            panels.append(_panel(title, points, colour, _TOP + len(panels) * (_PANEL + _GAP), log=log))
    return _document(run, steps, panels) if panels else ""


def _numbers(timeline: Row, key: str) -> list[float | None]:
    found = timeline.get(key)
    return [as_number(value) for value in found] if isinstance(found, list) else []


def _drawable(value: float | None, *, log: bool) -> float | None:
    return value if value is not None and math.isfinite(value) and (value > 0 or not log) else None


def _panel(title: str, points: Points, colour: str, top: float, *, log: bool) -> _Panel:
    shown = [math.log2(value) if log else value for _, value in points if value is not None]
    low, high = min(shown), max(shown)
    margin = 1.0 if log else max(0.05 * (high - low), 1e-9 + 0.05 * abs(high))
    return _Panel(title, points, colour, top, low - margin, high + margin, log)


def _document(run: Row, steps: Sequence[float], panels: Sequence[_Panel]) -> str:
    height = _TOP + len(panels) * (_PANEL + _GAP) + 12
    first, last = min(steps), max(steps)

    def x(step: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * ((step - first) / (last - first) if last > first else 0.5)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" fill="{_TEXT}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{html_text(one_line(text(run, "run"), 80))}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="18" text-anchor="end" fill="{_MARK}">{_LEGEND}</text>',
    ]
    for panel in panels:
        lines += _frame(panel)
        lines += [_marked(step, x, panel, what) for step, what in _marks(section(run, "timeline"))]
        lines += [
            f'<polyline fill="none" stroke="{panel.colour}" stroke-width="1.6" '
            f'points="{" ".join(f"{x(step):.1f},{panel.y(value):.1f}" for step, value in stretch)}"/>'
            if len(stretch) > 1
            else f'<circle cx="{x(stretch[0][0]):.1f}" cy="{panel.y(stretch[0][1]):.1f}" r="2" fill="{panel.colour}"/>'
            for stretch in _stretches(panel.points)
        ]
    bottom = height - 14
    lines.append(f'<text x="{_LEFT}" y="{bottom}">{first:.0f}</text>')
    lines.append(f'<text x="{_WIDTH - _RIGHT}" y="{bottom}" text-anchor="end">{last:.0f}</text>')
    lines.append(f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{bottom}" text-anchor="middle">training step</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _frame(panel: _Panel) -> Iterator[str]:
    for share in (0.0, 0.5, 1.0):
        y = panel.top + _PANEL * share
        level = panel.high - share * (panel.high - panel.low)
        value = f"2^{level:g}" if panel.log else figure(level)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
    middle = panel.top + _PANEL / 2
    yield f'<text transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle">{panel.title}</text>'


def _marks(timeline: Row) -> list[tuple[float, str]]:
    """Return the steps that were skipped, and those in which a fault was planted."""
    planted = {float(step): str(what) for step, what in section(timeline, "planted").items() if step.isdigit()}
    skipped = [step for step in _numbers(timeline, "skipped") if step is not None and step not in planted]
    return [*((step, "skipped") for step in skipped), *((step, f"planted: {what}") for step, what in planted.items())]


def _marked(step: float, x: object, panel: _Panel, what: str) -> str:
    assert callable(x)
    dashes = "" if what == "skipped" else ' stroke-dasharray="4 3"'
    return (
        f'<line x1="{x(step):.1f}" x2="{x(step):.1f}" y1="{panel.top:.1f}" y2="{panel.top + _PANEL:.1f}" '
        f'stroke="{_MARK}"{dashes}><title>step {step:.0f}, {html_text(what)}</title></line>'
    )


def _stretches(points: Points) -> list[list[tuple[float, float]]]:
    """Cut a curve where a value is missing or not finite."""
    found: list[list[tuple[float, float]]] = [[]]
    for step, value in points:
        if value is None:
            found.append([])
        else:
            found[-1].append((step, value))
    return [stretch for stretch in found if stretch]
