import math
import random
import statistics

import pytest

from amp_runtime.benchmark.medians import middle


def test_the_interval_of_few_samples_is_their_range_with_the_confidence_it_has():
    found = middle([3.0, 1.0, 2.0])
    assert (found.value, found.low, found.high, found.confidence) == (2.0, 1.0, 3.0, 0.75)
    assert middle([1.0]).confidence == 0.0


def test_six_samples_are_enough_for_95_percent():
    found = middle([1, 2, 3, 4, 5, 6])
    assert (found.value, found.low, found.high) == (3.5, 1, 6)
    assert found.confidence == pytest.approx(1 - 2 / 64)


def test_of_twenty_samples_five_are_left_out_at_each_end():
    # Table of the sign test: P(at most 5 of 20) = 0.0207, so the 6th and the 15th value bound 95.9 %.
    found = middle(list(range(1, 21)))
    assert (found.low, found.high) == (6, 15)
    assert found.confidence == pytest.approx(0.9586, abs=1e-4)


def test_it_covers_the_median_of_a_skewed_distribution_as_often_as_it_says():
    draw = random.Random(0)
    held = 0
    for _ in range(2000):
        found = middle([math.exp(draw.gauss(0, 1)) for _ in range(15)])
        held += found.low <= 1 <= found.high
    stated = found.confidence
    error = math.sqrt(stated * (1 - stated) / 2000)
    assert abs(held / 2000 - stated) < 4 * error


@pytest.mark.parametrize("samples", [[], [math.nan], [1.0, math.inf]])
def test_samples_without_a_median_are_refused(samples):
    with pytest.raises(ValueError, match="a median needs finite samples"):
        middle(samples)


@pytest.mark.parametrize("confidence", [0, 1, -0.5])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
        middle([1.0], confidence)


def test_it_is_the_median_of_the_standard_library():
    numbers = [random.Random(1).random() for _ in range(40)]
    assert middle(numbers).value == statistics.median(numbers)
