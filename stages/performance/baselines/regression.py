"""Says of figures whether they got worse than in earlier runs, by more than runs of one program differ anyway. Pure.

The unit is a run, not a step. Steps of one run share a process, its memory layout and the state of the machine, so a
thousand of them tell little of the next run (Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013:
repeat on the level at which the variance arises). How much runs differ is taken from the saved runs. As these are few,
each series borrows from the others of the same machine and from a cautious assumption (a moderated variance, as in
Smyth, "Linear models and empirical Bayes methods", Stat. Appl. Genet. Mol. Biol. 3, 2004): with one saved run only a
large slowdown can be shown, with five a small one.

A regression needs three things: it is significant, with the allowed error shared between all figures that are compared
(Holm 1979, which needs no independence); it reaches the least effect that matters; and it is confirmed, for every one
of at least two new processes shows it. The last is what a single process with bad luck cannot do, and no distribution
has to be assumed for it. There is none where the interval ends below the least effect. All else is inconclusive.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.performance.baselines.student import quantile, upper_tail

if TYPE_CHECKING:
    from collections.abc import Mapping

METHOD = (
    "runs against runs: Student's t on log step times, spread between runs from the saved ones and moderated "
    "(Smyth 2004), error shared by Holm's method"
)
ERROR = 0.01  # probability that anything at all is called a regression where nothing changed
CONFIDENCE = 0.95
LEAST = 0.05
_ASSUMED_SPREAD = 0.02  # between runs, while nothing is known of them
_ASSUMED_FREEDOM = 3.0  # what that assumption weighs, in saved runs
_MOST_BORROWED = 10.0
_CONFIRMED = 2  # new processes that must all show it


class Outcome(enum.StrEnum):
    """What became of a figure of which less is better."""

    SAME = "no regression"
    WORSE = "regression"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One figure over runs: positive, and the smaller the better.

    Args:
        saved: of the saved runs that this one is compared with.
        now: of this run; several where it was measured in several processes.
        before: groups of older runs, each of one state of the program: they tell only how much runs differ.
        sampling: variance of the difference of the logarithms that the steps within the runs leave; how much runs
            differ is at least that.

    Raises:
        ValueError: nothing saved or measured, or a figure that is not positive and finite.
    """

    saved: tuple[float, ...]
    now: tuple[float, ...]
    before: tuple[tuple[float, ...], ...] = ()
    sampling: float = 0.0

    def __post_init__(self) -> None:
        figures = [*self.saved, *self.now, *(one for group in self.before for one in group)]
        if not self.saved or not self.now or not all(math.isfinite(one) and one > 0 for one in figures):
            raise ValueError("a series needs positive finite figures, saved ones and new ones")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a series says.

    Args:
        ratio: of now to the saved runs, with its interval at `CONFIDENCE`.
        best: the smallest ratio of any new process.
        probability: that runs which do not differ look at least as bad as this.
        spread: one standard deviation between runs, as a share.
        runs: saved runs it rests on.
        processes: new ones it rests on.
        suspect: one more process has to show it, or to refute it.
    """

    ratio: float
    low: float
    high: float
    best: float
    probability: float
    spread: float
    runs: int
    processes: int
    outcome: Outcome = Outcome.INCONCLUSIVE
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class _Scatter:
    """A sum of squares of logarithms about their own means, and its degrees of freedom."""

    squares: float
    freedom: float


def judge(series: Mapping[str, Series], *, least: float = LEAST, error: float = ERROR) -> dict[str, Change]:
    """Judge all figures of a run together.

    Args:
        least: the smallest slowdown that matters, as a share.
        error: the probability that any of them is wrongly called a regression.

    Raises:
        ValueError: a share or a probability that makes no sense.
    """
    if not (math.isfinite(least) and least > 0):
        raise ValueError(f"least must be a positive finite share, not {least!r}")
    if not 0 < error < 0.5:
        raise ValueError(f"error must lie between 0 and 0.5, not {error!r}")
    scatters = {name: _scatter(one) for name, one in series.items()}
    measured = {name: _measured(one, _moderated(name, scatters)) for name, one in series.items()}
    significant = _holm({name: change.probability for name, change in measured.items()}, error)
    return {name: _decided(change, least, name in significant) for name, change in measured.items()}


def differs(series: Series, others: Mapping[str, Series], *, least: float = LEAST) -> bool:
    """Say whether a new run is of another state of the program than the saved ones, for better or worse.

    Args:
        series: with one new run.
        others: further series of the same machine, which tell how much runs differ.
    """
    faster = dataclasses.replace(
        series, saved=tuple(1 / one for one in series.saved), now=tuple(1 / one for one in series.now)
    )
    return any(judge({**others, "": one}, least=least)[""].suspect for one in (series, faster))


def _scatter(series: Series) -> _Scatter:
    groups = [[math.log(one) for one in group] for group in (series.saved, *series.before) if len(group) > 1]
    return _Scatter(
        sum(statistics.variance(group) * (len(group) - 1) for group in groups),
        sum(len(group) - 1.0 for group in groups),
    )


def _moderated(name: str, scatters: Mapping[str, _Scatter]) -> _Scatter:
    """Return the variance of one series, as squares over freedom: its own, and what the others make likely."""
    others = [scatter for other, scatter in scatters.items() if other != name]
    freedom = _ASSUMED_FREEDOM + sum(one.freedom for one in others)
    likely = (_ASSUMED_FREEDOM * _ASSUMED_SPREAD**2 + sum(one.squares for one in others)) / freedom
    weight = min(freedom, _MOST_BORROWED)
    own = scatters[name]
    return _Scatter(weight * likely + own.squares, weight + own.freedom)


def _measured(series: Series, scatter: _Scatter) -> Change:
    variance = scatter.squares / scatter.freedom
    error = math.sqrt(max(variance * (1 / len(series.saved) + 1 / len(series.now)), series.sampling))
    shift = statistics.fmean(map(math.log, series.now)) - statistics.fmean(map(math.log, series.saved))
    reach = quantile((1 + CONFIDENCE) / 2, scatter.freedom) * error
    return Change(
        ratio=math.exp(shift),
        low=math.exp(shift - reach),
        high=math.exp(shift + reach),
        best=math.exp(math.log(min(series.now)) - statistics.fmean(map(math.log, series.saved))),
        probability=upper_tail(shift / error, scatter.freedom),
        spread=math.sqrt(variance),
        runs=len(series.saved),
        processes=len(series.now),
    )


def _holm(probabilities: Mapping[str, float], error: float) -> set[str]:
    """Return what is significant when the error is for all of them together."""
    found: set[str] = set()
    for name in sorted(probabilities, key=lambda name: (probabilities[name], name)):
        if probabilities[name] > error / (len(probabilities) - len(found)):
            break
        found.add(name)
    return found


def _decided(change: Change, least: float, significant: bool) -> Change:
    if change.high < 1 + least:
        return dataclasses.replace(change, outcome=Outcome.SAME)
    if not significant or change.ratio < 1 + least or change.best < 1 + least:
        return change
    if change.processes < _CONFIRMED:
        return dataclasses.replace(change, suspect=True)
    return dataclasses.replace(change, outcome=Outcome.WORSE)
