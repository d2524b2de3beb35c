import pytest
import torch

from amp_runtime.calibration.drift import DRIFT_LIMIT, Drift, ReferenceKernel
from amp_runtime.calibration.timing import timer_for


class Clock:
    def __init__(self, factors):
        self.factors = iter(factors)
        self.factor = 1.0

    def __call__(self, _call, calls):
        return 1e-3 * self.factor * calls

    def checked(self, kernel):
        for factor in self.factors:
            self.factor = factor
            kernel.check()
        return kernel.drift()


def drift_of(*factors):
    clock = Clock(factors)
    return clock.checked(ReferenceKernel(clock, lambda: None))


def test_a_steady_clock_is_not_flagged():
    drift = drift_of(1.0, 1.04, 0.98, 1.05)
    assert drift.warnings == ()
    assert drift.trend == pytest.approx(0.05)


@pytest.mark.parametrize(("last", "word"), [(1.25, "25% slower"), (0.8, "20% faster")])
def test_a_clock_that_moves_on_is_flagged(last, word):
    drift = drift_of(1.0, (1 + last) / 2, last)
    assert word in drift.warnings[0]
    assert f"limit {DRIFT_LIMIT:.0%}" in drift.warnings[0]


def test_a_bump_in_between_is_flagged_although_the_end_is_as_the_beginning():
    (said,) = drift_of(1.0, 1.5, 1.0).warnings
    assert "varied by 50%" in said


def test_nothing_checked_is_nothing_flagged():
    assert Drift(seconds=()).warnings == ()


def test_the_real_kernel_takes_time():
    kernel = ReferenceKernel.on(torch.device("cpu"), timer_for(torch.device("cpu")))
    kernel.check()
    assert kernel.drift().seconds[0] > 0
