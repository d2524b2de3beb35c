import pytest
import torch

from amp_runtime.float32 import float32_products


def switches():
    return [matmul.fp32_precision for matmul in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)]


@pytest.fixture(autouse=True)
def _restored():
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.fp32_precision = "none"
    torch.backends.mkldnn.matmul.fp32_precision = "none"


@pytest.mark.parametrize("inside", ["highest", "high"])
@pytest.mark.parametrize("outside", ["highest", "high", "medium"])
def test_the_block_has_its_precision_and_the_caller_gets_the_own_one_back(inside, outside):
    torch.set_float32_matmul_precision(outside)
    before = switches()
    with float32_products(inside):
        assert torch.get_float32_matmul_precision() == inside
        assert torch.backends.cuda.matmul.allow_tf32 is (inside == "high")
    assert torch.get_float32_matmul_precision() == outside
    assert switches() == before


def test_untouched_switches_are_untouched_afterwards():
    with float32_products("high"):
        pass
    assert switches() == ["none", "none"]


def test_contradicting_switches_are_left_as_contradicting_as_they_were():
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
        torch.get_float32_matmul_precision()
    with float32_products("highest"):
        assert torch.get_float32_matmul_precision() == "highest"
    assert switches() == ["tf32", "none"]


def fail():
    raise KeyError("inside")


def test_an_error_inside_restores_too():
    with pytest.raises(KeyError), float32_products("high"):
        fail()
    assert torch.get_float32_matmul_precision() == "highest"
