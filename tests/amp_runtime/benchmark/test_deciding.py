import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.benchmark.deciding import AtMost, NotSlower, Outcome
from amp_runtime.benchmark.intervals import Estimate


def estimate(low: float, value: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high, confidence=0.99, samples=50)


@pytest.mark.parametrize(
    ("low", "value", "high", "outcome"),
    [
        (0.5, 0.6, 0.7, Outcome.PASS),
        (0.71, 0.8, 0.9, Outcome.FAIL),
        (0.6, 0.65, 0.7, Outcome.PASS),
        (0.69, 0.7, 0.71, Outcome.INCONCLUSIVE),
    ],
)
def test_a_limit_is_answered_by_the_side_on_which_the_whole_interval_lies(low, value, high, outcome):
    assert AtMost(limit=0.7)(estimate(low, value, high)) is outcome


@pytest.mark.parametrize(
    ("low", "value", "high", "outcome"),
    [
        (0.98, 1.0, 1.02, Outcome.PASS),
        (1.01, 1.02, 1.03, Outcome.PASS),  # slower for certain, and too little to matter
        (1.03, 1.07, 1.12, Outcome.FAIL),
        (1.01, 1.06, 1.12, Outcome.INCONCLUSIVE),  # slower, but copies of one program may differ as much
        (0.99, 1.06, 1.12, Outcome.INCONCLUSIVE),  # enough to matter, if it is true
        (1.01, 1.04, 1.07, Outcome.INCONCLUSIVE),
    ],
)
def test_a_regression_is_both_certain_and_large(low, value, high, outcome):
    assert NotSlower(least=0.05)(estimate(low, value, high)) is outcome


@given(st.tuples(*[st.floats(0.1, 10)] * 3), st.floats(0.2, 5))
def test_a_tighter_limit_never_turns_a_failure_into_a_pass(figures, limit):
    low, value, high = sorted(figures)
    seen = estimate(low, value, high)
    if AtMost(limit=limit)(seen) is Outcome.FAIL:
        assert AtMost(limit=limit * 0.9)(seen) is Outcome.FAIL


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_thresholds_without_meaning_are_refused(wrong):
    with pytest.raises(ValueError, match="limit"):
        AtMost(limit=wrong)
    with pytest.raises(ValueError, match="least"):
        NotSlower(least=wrong)


@pytest.mark.parametrize("floor", [-0.01, 0.05, math.nan])
def test_a_floor_that_leaves_nothing_to_matter_is_refused(floor):
    with pytest.raises(ValueError, match="floor"):
        NotSlower(least=0.05, floor=floor)
