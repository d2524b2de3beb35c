"""Decides what the page of stage 3 shows of the runs under the sanitizer: what was watched, alarms, the loss scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.escape import code
from reports.facts import Row, as_number, numbers, rows, section, text, whole
from reports.figures import figure, listed, plural
from reports.table import Cell, Table, table

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEALTHY = (
    "A healthy FP16 run leaves out some of its first steps, until its scale fits, and after that at most about 1 %: "
    "each growth of the scale, every 2,000 steps by default, may cost one."
)
_SCALES = 12  # runs whose loss scale is told


@dataclass(frozen=True, slots=True)
class SanitizerView:
    """The runs under the sanitizer. `plots`: the name of a run, and the file with its picture."""

    runs: Table
    alarms: Table
    scales: tuple[str, ...]
    healthy: str
    problems: tuple[str, ...]
    plots: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.runs)


def sanitizer_view(facts: Row, plots: Mapping[str, str]) -> SanitizerView:
    runs = rows(facts, "sanitizer")
    scales = [line for run in runs if (line := _scale(run))][:_SCALES]
    problems = [f"{text(run, 'run')}: {line}" for run in runs for line in _texts(run)]
    return SanitizerView(
        runs=table(
            "Run|Training steps|Skipped|Autocast regions|Scalers|Rules asked|Alarms",
            (_run(run) for run in runs),
            right="Training steps|Skipped|Scalers|Rules asked|Alarms",
        ),
        alarms=table(
            "Rule|Run|Steps|Times|Where|What was seen",
            (_alarm(run, alarm) for run in runs for alarm in rows(run, "alarms")),
            right="Times",
        ),
        scales=tuple(scales),
        healthy=_HEALTHY if scales else "",
        problems=tuple(problems),
        plots=tuple(plots.items()),
    )


def _texts(run: Row) -> list[str]:
    found = run.get("problems")
    return [line for line in found if isinstance(line, str)] if isinstance(found, list) else []


def _run(run: Row) -> tuple[Cell, ...]:
    name = code(text(run, "run"), cell=True)
    if not run.get("reported"):
        return name, "nothing was reported", "", "", "", "", ""
    regions = listed(f"{count} {kind}" for kind, count in section(run, "autocast").items()) or "none"
    looked = len(section(run, "looked"))
    alarms = len(rows(run, "alarms"))
    return name, whole(run, "steps"), whole(run, "skipped_steps"), regions, whole(run, "scalers"), looked, alarms


def _alarm(run: Row, alarm: Row) -> tuple[Cell, ...]:
    first, last = whole(alarm, "step"), whole(alarm, "last_step")
    place = text(alarm, "place")
    planted = " (planted)" if alarm.get("planted") else ""
    return (
        text(alarm, "code"),
        code(text(run, "run"), cell=True),
        f"{first}" if first == last else f"{first} to {last}",
        whole(alarm, "count"),
        code(place, cell=True) if place else "no line of the project",
        text(alarm, "message") + planted,
    )


def _scale(run: Row) -> str:
    """Tell the way of the loss scale; empty where there is none."""
    timeline = section(run, "timeline")
    scales = numbers(timeline, "scale")
    if not scales:
        return ""
    steps, skipped = whole(run, "steps"), whole(run, "skipped_steps")
    share = f" ({100 * skipped / steps:.2g} %)" if skipped and steps else ""
    way = f"{_power(scales[0])} at the beginning, {_power(scales[-1])} at the end"
    if min(scales) == max(scales):
        way = f"{_power(scales[0])} throughout"
    elif min(scales) < min(scales[0], scales[-1]) or max(scales) > max(scales[0], scales[-1]):
        way += f", between {_power(min(scales))} and {_power(max(scales))} on the way"
    return f"`{text(run, 'run')}`: loss scale {way}; {skipped} of {plural(steps, 'step')} skipped{share}."


def _power(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e9 else figure(as_number(value))
