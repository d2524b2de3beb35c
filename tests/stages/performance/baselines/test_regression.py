"""Runs that do not differ raise no alarm, a true slowdown is found, and what is unclear is called so."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.performance.baselines.regression import Change, Outcome, Series, differs, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIALS = 250
_MORE = 2  # processes that the stage starts where one looks suspicious


class Machine:
    """Runs of one program that differ by a log-normal factor, every tenth of them four times as much."""

    def __init__(self, spread: float) -> None:
        self._draw = random.Random(17)
        self._spread = spread

    def runs(self, count: int, slower: float = 1.0) -> tuple[float, ...]:
        spreads = [self._spread * (4 if self._draw.random() < 0.1 else 1) for _ in range(count)]
        return tuple(3 * slower * math.exp(self._draw.gauss(0, spread)) for spread in spreads)

    def judged(self, saved: int, slower: Mapping[str, float]) -> dict[str, Change]:
        """Judge one run of figures, each slower by its factor, and start more processes for what is suspicious."""
        before = {name: self.runs(saved) for name in slower}
        now = {name: self.runs(1, factor) for name, factor in slower.items()}

        def judge_now() -> dict[str, Change]:
            return judge({name: Series(saved=before[name], now=now[name]) for name in slower})

        suspects = [name for name, change in judge_now().items() if change.suspect]
        for name in suspects:
            now[name] += self.runs(_MORE, slower[name])
        return judge_now()


@pytest.mark.parametrize(
    ("saved", "spread", "figures"), [(1, 0.02, 6), (2, 0.02, 6), (3, 0.03, 6), (5, 0.03, 8), (5, 0.05, 4)]
)
def test_false_alarms_stay_below_one_in_a_hundred_reports(saved: int, spread: float, figures: int) -> None:
    machine = Machine(spread)
    alarms = sum(
        any(
            one.outcome is Outcome.WORSE
            for one in machine.judged(saved, dict.fromkeys("abcdefgh"[:figures], 1.0)).values()
        )
        for _ in range(TRIALS)
    )
    assert alarms <= TRIALS // 100


@pytest.mark.parametrize(("saved", "spread", "caught"), [(3, 0.005, 0.93), (5, 0.01, 0.83), (10, 0.01, 0.9)])
def test_a_tenth_slower_is_found_among_four_figures(saved: int, spread: float, caught: float) -> None:
    machine = Machine(spread)
    found = sum(
        machine.judged(saved, {"slow": 1.1, "b": 1.0, "c": 1.0, "d": 1.0})["slow"].outcome is Outcome.WORSE
        for _ in range(TRIALS)
    )
    assert found >= caught * TRIALS


def test_one_process_alone_shows_no_regression_however_slow() -> None:
    alone = judge({"": Series(saved=(1.0,) * 5, now=(3.0,))})[""]
    assert (alone.outcome, alone.suspect) == (Outcome.INCONCLUSIVE, True)
    shared = judge({"": Series(saved=(1.0,) * 5, now=(3.0, 2.9))})[""]
    assert (shared.outcome, shared.suspect) == (Outcome.WORSE, False)
    refuted = judge({"": Series(saved=(1.0,) * 5, now=(3.0, 3.0, 1.0))})[""]
    assert refuted.outcome is Outcome.INCONCLUSIVE


def test_a_significant_loss_below_the_least_effect_is_no_regression() -> None:
    change = judge({"": Series(saved=(1.0,) * 200, now=(1.03,) * 50)})[""]
    assert change.probability < 1e-6
    assert change.outcome is Outcome.SAME


def test_a_large_loss_that_runs_do_not_bear_out_is_inconclusive() -> None:
    change = judge({"": Series(saved=(0.7, 1.0, 1.4), now=(1.2,))})[""]
    assert change.ratio > 1.05
    assert change.outcome is Outcome.INCONCLUSIVE


def test_one_saved_run_shows_only_what_is_large() -> None:
    assert judge({"": Series(saved=(1.0,), now=(1.1, 1.1))})[""].outcome is Outcome.INCONCLUSIVE
    assert judge({"": Series(saved=(1.0,), now=(2.0, 2.0))})[""].outcome is Outcome.WORSE


def test_older_states_tell_how_much_runs_differ_and_nothing_else() -> None:
    alone = judge({"": Series(saved=(1.0,), now=(1.09, 1.09))})[""]
    calm = tuple((level, level * 1.002, level * 0.998) for level in (2.0, 3.0, 4.0))
    known = judge({"": Series(saved=(1.0,), now=(1.09, 1.09), before=calm)})[""]
    assert known.ratio == alone.ratio
    assert (alone.outcome, known.outcome) == (Outcome.INCONCLUSIVE, Outcome.WORSE)


def test_the_error_is_shared_between_all_figures() -> None:
    slow = Series(saved=(1.0, 1.01, 0.99, 1.0), now=(1.085, 1.085))
    noisy = {f"{n}": Series(saved=(1.0,), now=(1.0,)) for n in range(400)}
    assert judge({"": slow})[""].outcome is Outcome.WORSE
    assert judge({"": slow, **noisy})[""].outcome is Outcome.INCONCLUSIVE


def test_runs_differ_at_least_as_much_as_their_own_intervals_admit() -> None:
    calm = judge({"": Series(saved=(1.0,) * 9, now=(1.0,))})[""]
    vague = judge({"": Series(saved=(1.0,) * 9, now=(1.0,), sampling=0.1**2)})[""]
    assert (calm.outcome, vague.outcome) == (Outcome.SAME, Outcome.INCONCLUSIVE)
    assert vague.high > 1.2 > calm.high


def test_a_larger_least_effect_lets_more_pass() -> None:
    slow = {"": Series(saved=(1.0, 1.002, 0.998, 1.001, 0.999) * 2, now=(1.09, 1.09))}
    assert judge(slow, least=0.05)[""].outcome is Outcome.WORSE
    assert judge(slow, least=0.15)[""].outcome is Outcome.SAME


figures = st.floats(1e-6, 1e6)


@settings(max_examples=80, deadline=None)
@given(st.lists(figures, min_size=1, max_size=6), st.lists(figures, min_size=1, max_size=3), st.floats(1e-3, 1e3))
def test_the_unit_of_a_figure_changes_nothing(saved: list[float], now: list[float], unit: float) -> None:
    one = judge({"": Series(saved=tuple(saved), now=tuple(now))})[""]
    other = judge({"": Series(saved=tuple(unit * v for v in saved), now=tuple(unit * v for v in now))})[""]
    assert other.low <= other.ratio <= other.high
    assert math.log(other.ratio) == pytest.approx(math.log(one.ratio), abs=1e-6)
    assert other.probability == pytest.approx(one.probability, rel=1e-3, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(figures, min_size=1, max_size=6), figures, st.floats(1, 10))
def test_slower_never_looks_better(saved: list[float], now: float, more: float) -> None:
    order = [Outcome.SAME, Outcome.INCONCLUSIVE, Outcome.WORSE]
    one, other = (judge({"": Series(saved=tuple(saved), now=(value, value))})[""] for value in (now, now * more))
    assert other.probability <= one.probability * (1 + 1e-9)
    assert order.index(other.outcome) >= order.index(one.outcome)


@pytest.mark.parametrize("figure", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_time_is_refused(figure: float) -> None:
    with pytest.raises(ValueError, match="positive finite"):
        Series(saved=(1.0,), now=(figure,))


def test_nonsense_is_refused() -> None:
    series = {"": Series(saved=(1.0,), now=(1.0,))}
    with pytest.raises(ValueError, match="least"):
        judge(series, least=0)
    with pytest.raises(ValueError, match="error"):
        judge(series, error=0.7)


def test_a_new_state_is_one_that_is_faster_or_slower_by_what_matters() -> None:
    saved = (1.0, 1.002, 0.998, 1.001, 0.999)
    assert not differs(Series(saved=saved, now=(1.01,)), {})
    assert differs(Series(saved=saved, now=(1.2,)), {})
    assert differs(Series(saved=saved, now=(0.8,)), {})
    assert not differs(Series(saved=saved, now=(1.2,), sampling=0.2**2), {})
