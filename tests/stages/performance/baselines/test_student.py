"""Student's t agrees with printed tables, and with itself backwards."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.performance.baselines.student import quantile, upper_tail


@pytest.mark.parametrize(
    ("probability", "freedom", "value"),
    [
        (0.95, 1, 6.313752),
        (0.975, 4, 2.776445),
        (0.99, 7, 2.997952),
        (0.995, 30, 2.749996),
        (0.9995, 2, 31.599055),
        (0.025, 4, -2.776445),
    ],
)
def test_quantiles_are_those_of_the_tables(probability: float, freedom: float, value: float) -> None:
    assert quantile(probability, freedom) == pytest.approx(value, abs=2e-6)


def test_one_degree_of_freedom_is_cauchys_distribution() -> None:
    assert upper_tail(3.0, 1) == pytest.approx(0.5 - math.atan(3.0) / math.pi, abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.001, 0.999), st.floats(1, 200))
def test_the_tail_above_a_quantile_is_what_was_asked_for(probability: float, freedom: float) -> None:
    assert upper_tail(quantile(probability, freedom), freedom) == pytest.approx(1 - probability, abs=1e-9)


def test_ends() -> None:
    assert upper_tail(math.inf, 3) == 0
    assert upper_tail(-math.inf, 3) == 1
    for wrong in (lambda: upper_tail(math.nan, 3), lambda: upper_tail(0, 0), lambda: quantile(1.0, 3)):
        with pytest.raises(ValueError, match="probability"):
            wrong()
