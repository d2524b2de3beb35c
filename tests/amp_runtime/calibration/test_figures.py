from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.calibration import Interval
from amp_runtime.calibration.figures import ABOVE, figure, share, times, with_spread


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (0.0, "0"),
        (0.0687, "0.0687"),
        (1.0, "1.00"),
        (99.96, "100.0"),
        (105.4, "105"),
        (812345.0, "812,000"),
        (1e-9, "1.00e-09"),
    ],
)
def test_a_figure_has_three_digits(value: float | None, text: str) -> None:
    assert figure(value) == text


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_a_figure_is_never_further_off_than_its_digits(value: float) -> None:
    assert float(figure(value).replace(",", "")) == pytest.approx(value, rel=0.006)


@pytest.mark.parametrize(
    ("efficiency", "flag", "bound", "text"),
    [
        (0.8, None, None, "80 %"),
        (0.0831, None, False, "8.3 %"),
        (0.0004, None, True, ">= 0.04 %"),
        (1.0, None, None, "100 %"),
        (None, None, True, "-"),
        (None, "why", None, ABOVE),
        (1.14, None, None, ABOVE),
    ],
)
def test_a_share_above_one_is_a_warning_and_no_figure(
    efficiency: float | None, flag: str | None, bound: bool | None, text: str
) -> None:
    assert share(efficiency, flag, upper_bound=bound) == text


@given(st.floats(min_value=0, max_value=1e6))
def test_no_share_above_a_hundred_percent_is_ever_written(efficiency: float) -> None:
    text = share(efficiency, None, upper_bound=None)
    assert text == ABOVE or float(text.removesuffix(" %")) <= 100


def test_ratios_and_intervals() -> None:
    assert [times(one) for one in (None, 0.25, 1.5, 123.4)] == ["-", "0.25x", "1.50x", "123x"]
    assert with_spread(5.0, Interval(low=4.5, high=5.5)) == "5.00 [4.50, 5.50]"
    assert with_spread(5.0, None) == "5.00"
