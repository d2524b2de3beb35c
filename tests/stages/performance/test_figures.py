"""An interval covers what it says it covers, and lies on one side of a bound only if all of it does."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.performance.figures import Side, exact, median_of
from tests.stages.performance.measured import figure, requirement

FLOOR = requirement("speedup", ">=1.5").bounds["any"]
CEILING = requirement("accuracy-difference", "<0.01").bounds["any"]


def test_the_interval_of_the_median_covers_it_as_often_as_it_says():
    draw = random.Random(0)
    trials = [[draw.lognormvariate(0, 1) for _ in range(9)] for _ in range(4000)]
    found = [median_of(samples, unit="s", method="drawn") for samples in trials]
    covered = statistics.fmean(one.low <= 1.0 <= one.high for one in found if one)
    assert all(one is not None and one.confidence >= 0.95 for one in found)
    assert covered >= 0.95
    assert covered == pytest.approx(found[0].confidence, abs=0.01)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_the_median_lies_in_its_interval(samples: list[float]):
    found = median_of(samples, unit="s", method="any")
    assert found is not None
    assert min(samples) <= found.low <= found.value <= found.high <= max(samples)
    assert 0 <= found.confidence < 1


def test_few_samples_have_little_confidence_and_none_have_none():
    assert [median_of([1.0] * count, unit="s", method="m").confidence for count in (1, 2, 4)] == [0.0, 0.5, 0.875]
    assert median_of([], unit="s", method="m") is None
    assert median_of([float("nan")], unit="s", method="m") is None


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [(1.5, 2.0, Side.MET), (1.0, 1.49, Side.MISSED), (1.4, 1.6, Side.UNCLEAR)],
)
def test_a_floor_is_met_by_the_whole_interval(low: float, high: float, side: Side):
    assert figure((low + high) / 2, low, high).side(FLOOR) is side


def test_an_interval_of_little_confidence_decides_nothing():
    assert figure(3.0, 2.9, 3.1, confidence=0.875).side(FLOOR) is Side.UNCLEAR


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [
        (-0.005, 0.005, Side.MET),
        (0.0, 0.0, Side.MET),
        (0.01, 0.02, Side.MISSED),
        (-0.03, -0.02, Side.MISSED),
        (-0.02, 0.005, Side.UNCLEAR),
        (0.005, 0.015, Side.UNCLEAR),
    ],
)
def test_a_difference_counts_in_either_direction(low: float, high: float, side: Side):
    assert figure((low + high) / 2, low, high).side_of_size(CEILING) is side


def test_an_exact_figure_decides():
    assert (
        exact(0.42, unit="share", method="counted").side(requirement("memory-reduction", ">=40%").bounds["any"])
        is Side.MET
    )
    assert exact(0.42, unit="share", method="counted").text() == "42 %, exact"
