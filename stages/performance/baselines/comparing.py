"""Decides what the saved runs say of this one: per workload and mode, step time and memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from stages.performance.baselines.regression import Change, Outcome, Series, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages.performance.baselines.files import Baseline, Saved
    from verifier.api import Json

Name = tuple[str, str]  # workload, mode
_REACH = NormalDist().inv_cdf(0.995)  # of an interval at 99 %, which is the least that series have, in standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One workload in one mode, then and now.

    Args:
        change: of the step's time.
        larger: this run keeps so much more of the activations than the last saved one, as a share; they are counted
            exactly, so that there is no interval. None where one of the two did not count them.
        first: the oldest saved run of the level that it is compared with.
    """

    name: str
    mode: str
    now: Saved
    last: Saved
    change: Change
    larger: float | None
    first: str

    def outcome(self, least: float) -> Outcome:
        """Return what became of it: memory beyond the least effect is a regression too."""
        if self.larger is not None and self.larger >= least:
            return Outcome.WORSE
        return self.change.outcome

    def text(self) -> str:
        change = self.change
        said = (
            f"{self.name} ({self.mode}): step time {100 * (change.ratio - 1):+.1f} % "
            f"({100 * (change.low - 1):+.1f} to {100 * (change.high - 1):+.1f} %, {change.runs} saved "
            f"{'run' if change.runs == 1 else 'runs'}, {change.processes} new "
            f"{'process' if change.processes == 1 else 'processes'}, spread between runs {100 * change.spread:.1f} %)"
        )
        if self.larger:
            said += f", activations {100 * self.larger:+.1f} %"
        return said

    def fact(self, least: float) -> dict[str, Json]:
        change = self.change
        return {
            "name": self.name,
            "mode": self.mode,
            "outcome": self.outcome(least).value,
            "ratio": change.ratio,
            "low": change.low,
            "high": change.high,
            "probability": change.probability,
            "spread": change.spread,
            "runs": change.runs,
            "processes": change.processes,
            "suspect": change.suspect,
            "since": self.first,
            "step": self.now.step,
            "last_step": self.last.step,
            "activations": self.now.activations,
            "last_activations": self.last.activations,
            "accuracy": self.now.accuracy,
            "last_accuracy": self.last.accuracy,
        }


def series_of(baseline: Baseline, name: Name, now: Sequence[Saved]) -> Series | None:
    """Return the saved runs of a figure, those of its last level apart from the others; None where it has none.

    Args:
        now: of each new process.
    """
    levels: dict[int, list[Saved]] = {}
    last = None
    for run in baseline.runs:
        if (saved := run.figures.get(name[0], {}).get(name[1])) is not None:
            levels.setdefault(saved.level, []).append(saved)
            last = saved.level
    if last is None:
        return None
    return Series(
        saved=tuple(saved.step for saved in levels[last]),
        now=tuple(saved.step for saved in now),
        before=tuple(tuple(one.step for one in runs) for level, runs in levels.items() if level != last),
        sampling=_sampling(levels[last]) + _sampling(now),
    )


def _sampling(runs: Sequence[Saved]) -> float:
    """Return the variance of the mean logarithm that the intervals of the runs themselves admit."""
    errors = [math.log(run.high / run.low) / (2 * _REACH) for run in runs]
    return sum(error**2 for error in errors) / len(errors) ** 2


def compare(
    baseline: Baseline,
    figures: Mapping[str, Mapping[str, Saved]],
    least: Mapping[str, float],
    again: Sequence[Mapping[str, Mapping[str, Saved]]] = (),
) -> tuple[Compared, ...]:
    """Compare everything that both have.

    Args:
        again: the same of further processes, as far as they measured it.
        least: the smallest effect that matters, by workload; workloads that are not named are not compared.
    """
    found: dict[float, dict[Name, Series]] = {}
    for name, modes in figures.items():
        for mode, saved in modes.items():
            now = [saved, *(other[name][mode] for other in again if mode in other.get(name, {}))]
            if name in least and (series := series_of(baseline, (name, mode), now)) is not None:
                found.setdefault(least[name], {})[name, mode] = series
    names = {_key(name): name for group in found.values() for name in group}
    changes: dict[str, Change] = {}
    for effect, group in found.items():
        changes |= judge({_key(name): one for name, one in group.items()}, least=effect)
    return tuple(_compared(baseline, figures, names[key], changes[key]) for key in sorted(changes))


def _key(name: Name) -> str:
    return "\0".join(name)


def _compared(baseline: Baseline, figures: Mapping[str, Mapping[str, Saved]], name: Name, change: Change) -> Compared:
    now = figures[name[0]][name[1]]
    runs = [(run, run.figures[name[0]][name[1]]) for run in baseline.runs if name[1] in run.figures.get(name[0], {})]
    last = runs[-1][1]
    first = next(run for run, saved in runs if saved.level == last.level)
    larger = now.activations / last.activations - 1 if now.activations and last.activations else None
    return Compared(name=name[0], mode=name[1], now=now, last=last, change=change, larger=larger, first=first.saved_at)
