import contextlib

import pytest
import torch

from amp_runtime.capability import DTYPES, probe, probing

FP8 = [name for name in DTYPES if name.startswith("fp8")]


@pytest.mark.parametrize("name", ["fp64", "fp32", "bf16", "fp16", "int8", *FP8])
def test_this_cpu_computes_each_format_and_the_numbers_are_right(name):
    found = probe("cpu", name)
    assert found.works, found.detail


def test_an_operation_that_is_missing_is_reported_with_pytorchs_words(monkeypatch):
    monkeypatch.setitem(probing._TORCH_DTYPES, "fp16", torch.float8_e4m3fn)
    found = probe("cpu", "fp16")
    assert not found.works
    assert "fp16 failed on cpu" in found.detail


@pytest.mark.parametrize("name", ["fp64", "bf16", "int8", "fp8_e5m2"])
@pytest.mark.parametrize("device", ["cuda:99", "xpu:99", "mps:99"])
def test_a_device_that_is_not_there_has_nothing(device, name):
    found = probe(device, name)
    assert not found.works
    assert found.detail.startswith(f"{name} failed on")
    assert len(found.detail) < 200


def test_a_device_that_computes_in_another_format_is_unmasked(monkeypatch):
    finfo = torch.finfo

    class Coarser:
        def __init__(self, dtype):
            self.eps = finfo(torch.bfloat16).eps

    monkeypatch.setattr(torch, "finfo", Coarser)
    assert probe("cpu", "fp32").detail == "torch.float32 does not round as its format says"
    assert probe("cpu", "fp8_e4m3fn").detail == "torch.float8_e4m3fn does not round as its format says"


def test_wrong_products_are_unmasked(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: torch.mm(a, b) + (a.dtype is torch.bfloat16))
    assert probe("cpu", "bf16").detail == "a product of small integers in torch.bfloat16 came out wrong"
    assert probe("cpu", "fp16").works


def test_wrong_gradients_are_unmasked(monkeypatch):
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args: tuple(gradient + 1 for gradient in grad(*args)))
    assert probe("cpu", "bf16").detail == "the gradient of a product in torch.bfloat16 came out wrong"


def test_a_scaled_product_that_ignores_its_scales_is_unmasked(monkeypatch):
    scaled = torch._scaled_mm
    monkeypatch.setattr(
        torch, "_scaled_mm", lambda a, b, **settings: scaled(a, b, **{**settings, "scale_a": torch.tensor(1.0)})
    )
    assert "scaled product of small integers in torch.float8_e4m3fn came out wrong" in probe("cpu", "fp8_e4m3fn").detail


def test_a_scaled_product_of_an_older_pytorch_is_understood(monkeypatch):
    scaled = torch._scaled_mm
    monkeypatch.setattr(torch, "_scaled_mm", lambda a, b, **settings: (scaled(a, b, **settings), torch.tensor(65.0)))
    assert probe("cpu", "fp8_e4m3fn").works


def test_an_int8_product_that_saturates_is_unmasked(monkeypatch):
    exact = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda a, b: exact(a, b).clamp(-32768, 32767))
    assert probe("cpu", "int8").detail == "a product of int8 matrices came out wrong"


def rounded(bits):
    """Keep `bits` of a float32's mantissa, to the nearest, as a unit that multiplies in a narrower format does."""
    drop = 23 - bits

    def keep(tensor):
        whole = tensor.contiguous().view(torch.int32)
        return ((whole + (1 << (drop - 1))) & ~((1 << drop) - 1)).view(torch.float32)

    return keep


def narrower(keep):
    def product(a, b):
        return torch.mm(keep(a), keep(b)) if a.dtype is torch.float32 and not a.requires_grad else torch.mm(a, b)

    return product


def test_products_with_tf32s_error_are_tf32(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "__matmul__", narrower(rounded(10)))
    found = probe("cpu", "tf32")
    assert found.works
    assert "10 bits" in found.detail


def test_fp32_that_is_really_tf32_is_unmasked(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "__matmul__", narrower(rounded(10)))
    found = probe("cpu", "fp32")
    assert not found.works
    assert "too much for the format" in found.detail


def test_products_in_bfloat16_are_no_tf32(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "__matmul__", narrower(rounded(7)))
    assert "a TF32 product is off by" in probe("cpu", "tf32").detail


def test_products_of_two_bfloat16_parts_are_no_tf32(monkeypatch):
    def in_parts(a, b):
        if a.dtype is not torch.float32:
            return torch.mm(a, b)
        (a_high, b_high) = (t.bfloat16().float() for t in (a, b))
        (a_low, b_low) = ((t - high).bfloat16().float() for t, high in ((a, a_high), (b, b_high)))
        return torch.mm(a_high, b_high) + torch.mm(a_high, b_low) + torch.mm(a_low, b_high)

    monkeypatch.setattr(torch.Tensor, "__matmul__", in_parts)
    assert "more exact than TF32" in probe("cpu", "tf32").detail


def test_tf32_on_a_cpu_is_seen_to_stay_fp32():
    found = probe("cpu", "tf32")
    assert not found.works
    assert "more exact than TF32" in found.detail


MODES = {
    "no_grad": torch.no_grad,
    "inference mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": lambda: torch.device("meta"),
    "default dtype": lambda: default_dtype(torch.float64),
}


@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["fp64", "fp32", "bf16", "fp16", "int8", "fp8_e4m3fn"])
def test_the_modes_of_the_caller_do_not_reach_the_probe(mode, name):
    with MODES[mode]():
        assert probe("cpu", name).works


def test_probing_leaves_the_tf32_switches_alone():
    before = torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.fp32_precision
    for name in DTYPES:
        probe("cpu", name)
    assert (torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.fp32_precision) == before
