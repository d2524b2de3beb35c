"""The tables of operations agree with what the installed torch says of CUDA's autocast."""

from __future__ import annotations

import inspect

import pytest
import torch

from stages.logic.dtypes import operations

_REGISTERED = {
    name.removeprefix("aten::").partition(".")[0]
    for name in torch._C._dispatch_get_registrations_for_dispatch_key("AutocastCUDA")
}
_COMPOSITE = {"linalg_multi_dot": "multi_dot", "_convolution": "convolution"}
_OF_PYTHON = {
    "gaussian_nll_loss",
    "cosine_similarity",
    "logsumexp",
    "softmin",
    "multi_dot",
    "convolution",
    "huber_loss",
}


@pytest.mark.parametrize("name", sorted(operations.LOWERED | operations.RAISED))
def test_operation_is_on_a_list_of_cuda_autocast(name: str) -> None:
    known = {*_REGISTERED, *(_COMPOSITE.get(item, item) for item in _REGISTERED)}
    assert name in known or name in _OF_PYTHON or _is_made_of_listed(name, known)


def test_operations_that_keep_their_dtype_are_on_no_list() -> None:
    assert not operations.KEPT & _REGISTERED
    assert not operations.KEPT & (operations.LOWERED | operations.RAISED)


def _is_made_of_listed(name: str, known: set[str]) -> bool:
    """Say whether a function of `torch.nn.functional` calls a listed operation of nearly the same name."""
    function = getattr(torch.nn.functional, name, None)
    return function is not None and any(item in inspect.getsource(function) for item in known if item in name)
