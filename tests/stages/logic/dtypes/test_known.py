"""Arithmetic on known dtypes promotes as torch does."""

from __future__ import annotations

import pytest
import torch

from stages.logic.dtypes.known import BOOL, FLOAT32, INT, NUMBER, UNKNOWN, Dtype, Known, joined, promoted

_TENSORS: dict[Dtype, torch.Tensor] = {
    "float16": torch.ones(2, dtype=torch.float16),
    "bfloat16": torch.ones(2, dtype=torch.bfloat16),
    "float32": torch.ones(2),
    "int": torch.ones(2, dtype=torch.int64),
    "bool": torch.ones(2, dtype=torch.bool),
}
_NAMES = {tensor.dtype: name for name, tensor in _TENSORS.items()}


@pytest.mark.parametrize("first", _TENSORS)
@pytest.mark.parametrize("second", _TENSORS)
def test_two_tensors_promote_as_in_torch(first: Dtype, second: Dtype) -> None:
    found = promoted(Known(first), Known(second)).dtype
    torch_says = torch.result_type(_TENSORS[first], _TENSORS[second])
    different_halves = {first, second} == {"float16", "bfloat16"}
    assert found == ("" if different_halves else _NAMES[torch_says])


@pytest.mark.parametrize("dtype", _TENSORS)
def test_number_takes_the_dtype_of_the_tensor(dtype: Dtype) -> None:
    assert promoted(NUMBER, Known(dtype)).dtype == promoted(Known(dtype), NUMBER).dtype == dtype


def test_half_with_something_unknown_is_unknown() -> None:
    assert promoted(Known("float16"), UNKNOWN).dtype == ""
    assert promoted(UNKNOWN, FLOAT32).dtype == "float32"


def test_paths_that_differ_are_unknown_but_a_total_that_began_as_a_number_is_not() -> None:
    assert joined([Known("float16"), FLOAT32]).dtype == ""
    assert joined([INT, BOOL]).dtype == ""
    assert joined([NUMBER, Known("bfloat16")]).dtype == "bfloat16"
    assert joined([]).dtype == ""
