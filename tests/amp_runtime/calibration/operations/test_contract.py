import math

import pytest
import torch

from amp_runtime.calibration.operations.contract import relative_error, spread_out


def test_the_error_is_relative_to_what_was_wanted():
    assert relative_error(torch.tensor([3.0, 4.4]), torch.tensor([3.0, 4.0])) == pytest.approx(0.08)
    assert relative_error(torch.tensor([0.5]), torch.tensor([0.0])) == 0.5


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_not_finite_is_no_small_error(number):
    assert relative_error(torch.tensor([number]), torch.tensor([1.0])) == math.inf


def test_indices_are_spread_from_end_to_end():
    assert spread_out(3, 9).tolist() == [0, 4, 8]
    assert spread_out(5, 2).tolist() == [0, 1]
    assert spread_out(4, 1).tolist() == [0]
