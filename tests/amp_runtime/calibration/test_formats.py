import pytest
import torch

from amp_runtime.calibration.formats import FORMATS, PRECISIONS, filled, multiplying_as
from amp_runtime.calibration.schema import PRECISIONS as NAMES_IN_PROFILES
from amp_runtime.capability import DTYPES

CPU = torch.device("cpu")


def test_formats_are_those_of_profiles_and_of_the_capability_probe():
    assert PRECISIONS == NAMES_IN_PROFILES
    assert {found.known_as for found in FORMATS.values()} <= set(DTYPES)


@pytest.mark.parametrize("name", PRECISIONS)
def test_numbers_fill_the_shape_and_are_the_same_each_time(name):
    first, second = (filled((3, 5), FORMATS[name], CPU, 7) for _ in range(2))
    assert first.dtype is FORMATS[name].dtype
    assert first.shape == (3, 5)
    assert torch.equal(first.float(), second.float())
    assert not torch.equal(first.float(), filled((3, 5), FORMATS[name], CPU, 8).float())


def test_large_tensors_repeat_what_was_drawn_to_the_last_element():
    numbers = filled((2**20 + 3,), FORMATS["fp32"], CPU)
    assert torch.equal(numbers[2**20 :], numbers[:3])


def test_more_terms_allow_more_error_and_exact_formats_none():
    assert FORMATS["bf16"].tolerance(64) == 8 * 2**-7
    assert FORMATS["bf16"].tolerance(1) == 2 * 2**-7
    assert FORMATS["int8"].tolerance(10**6) == 0


def test_tf32_is_allowed_only_where_it_is_asked_for():
    before = torch.get_float32_matmul_precision()
    with multiplying_as("tf32", CPU):
        assert torch.get_float32_matmul_precision() == "high"
        with multiplying_as("fp32", CPU):
            assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before
