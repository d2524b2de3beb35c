"""A step's share of the roofline follows from its work, the machine's measured limits and its time."""

from __future__ import annotations

import pytest

from amp_runtime.wire import Roofline, Worked
from stages.performance.roofline import attainable_s, bound_by, roofline_share
from tests.stages.performance.measured import figure

MACHINE = Roofline(problem="", peak_gflops=100.0, bandwidth_gbps=10.0, profile="a machine, today")
RATE = figure(5.0, 4.0, 6.0, unit="steps/s")


def work(flops: float, moved: float) -> Worked:
    return Worked(mode="amp", flops=int(flops), bytes=int(moved))


def test_the_slower_of_computing_and_moving_is_the_least_time():
    assert attainable_s(MACHINE, work(1e9, 1e6)) == pytest.approx(0.01)
    assert attainable_s(MACHINE, work(1e9, 1e9)) == pytest.approx(0.1)
    assert [bound_by(MACHINE, work(1e9, moved)) for moved in (1e6, 1e9)] == ["compute", "memory"]


def test_the_share_is_that_time_over_the_steps_own():
    share = roofline_share(MACHINE, work(1e9, 1e9), RATE)["roofline-share"]
    assert (share.value, share.low, share.high) == (pytest.approx(0.5), pytest.approx(0.4), pytest.approx(0.6))
    assert (share.unit, share.confidence, share.samples) == ("share", RATE.confidence, RATE.samples)
    assert "a machine, today" in share.method


def test_nothing_is_made_up_where_something_is_not_known():
    assert roofline_share(None, work(1, 1), RATE) == {}
    assert roofline_share(Roofline(problem="no profile"), work(1, 1), RATE) == {}
    assert roofline_share(MACHINE, Worked(mode="amp", problem="not counted"), RATE) == {}
    assert roofline_share(MACHINE, work(1, 1), None) == {}
