import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.benchmark.intervals import centre, ratio

FIGURES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=25)


@pytest.mark.parametrize(
    ("samples", "cut", "confidence"),
    # Critical values of the two-sided signed-rank test at 5 %, as in every table of it.
    [(6, 0, 0.96875), (8, 3, 0.9609), (10, 8, 0.9512), (15, 25, 0.9521), (20, 52, 0.9516)],
)
def test_the_interval_is_the_one_of_the_signed_rank_table(samples, cut, confidence):
    values = [float(2**n) for n in range(samples)]
    means = sorted((a + b) / 2 for n, a in enumerate(values) for b in values[n:])
    found = centre(values)
    assert (found.low, found.high) == (means[cut], means[-1 - cut])
    assert found.confidence == pytest.approx(confidence, abs=1e-4)


@pytest.mark.parametrize(("samples", "confidence"), [(1, 0.0), (2, 0.5), (5, 0.9375)])
def test_too_few_samples_give_their_range_and_say_how_little_it_means(samples, confidence):
    values = [float(n * n) for n in range(samples)]
    found = centre(values)
    assert (found.low, found.high, found.confidence) == (min(values), max(values), confidence)


def test_the_interval_holds_the_true_centre_as_often_as_it_says():
    draw = random.Random(0)
    found = [centre([draw.gauss(3, 1) for _ in range(10)]) for _ in range(600)]
    share = statistics.fmean(one.low <= 3 <= one.high for one in found)
    assert share == pytest.approx(found[0].confidence, abs=0.025)


def test_one_wild_sample_moves_the_centre_little():
    assert centre([1.0] * 9 + [1000.0]).value == 1.0


@given(FIGURES)
def test_the_centre_lies_in_its_interval_and_the_interval_in_the_range(values):
    found = centre(values)
    assert min(values) <= found.low <= found.value <= found.high <= max(values)
    assert found.samples == len(values)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=20))
def test_turning_all_signs_turns_the_interval(values):
    there, back = centre(values), centre([-value for value in values])
    assert (there.value, there.low, there.high) == (-back.value, -back.high, -back.low)


def test_a_ratio_is_that_of_pairs_whatever_their_common_drift():
    drift = [1.0, 1.5, 3.0, 2.0, 1.1, 8.0, 1.0]
    found = ratio([2 * factor for factor in drift], drift)
    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2))


def test_the_ratio_the_other_way_round_is_the_reciprocal():
    first, second = [1.0, 2.0, 3.0, 4.5, 5.0, 6.0], [2.0, 2.1, 5.0, 4.0, 9.0, 5.5]
    there, back = ratio(first, second), ratio(second, first)
    assert there.value == pytest.approx(1 / back.value)
    assert there.low == pytest.approx(1 / back.high)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_samples_that_say_nothing_are_refused(values):
    with pytest.raises(ValueError, match="finite samples"):
        centre(values)


@pytest.mark.parametrize("times", [[0.0, 1.0], [-1.0, 1.0], [math.nan, 1.0]])
def test_a_ratio_of_figures_that_are_no_times_is_refused(times):
    with pytest.raises(ValueError, match="positive finite"):
        ratio(times, [1.0, 1.0])


def test_a_confidence_beyond_certainty_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        centre([1.0], confidence=1.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=61, max_size=90))
def test_many_samples_give_the_same_order_statistics_without_all_the_means(values):
    means = sorted((a + b) / 2 for n, a in enumerate(values) for b in values[n:])
    found = centre(values, 0.99)
    assert found.value == pytest.approx(statistics.median(means), rel=1e-12, abs=1e-9)
    below = sum(mean < found.low for mean in means)
    above = sum(mean > found.high for mean in means)
    assert abs(below - above) <= sum(mean in (found.low, found.high) for mean in means)


def test_the_approximation_joins_the_exact_interval():
    draw = random.Random(5)
    values = [draw.expovariate(1) for _ in range(61)]
    few, many = centre(values[:60], 0.999), centre(values, 0.999)
    assert many.confidence == pytest.approx(few.confidence, abs=2e-4)
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.1)
