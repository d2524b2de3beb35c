import pytest
import torch

from amp_runtime import capability
from amp_runtime.capability import DTYPES, Probe, capability_of, judge, probe
from amp_runtime.device import DeviceDescription
from amp_runtime.precision import Precision


def works(_device, name):
    return Probe(works=True, detail=f"{name} ran")


def lacking(*names):
    return lambda _device, name: Probe(works=name not in names, detail=f"{name} failed: not implemented")


def cpu(*flags):
    return DeviceDescription(
        kind="cpu", torch_device="cpu", name="test CPU", flags=frozenset(flags), flags_source="this test"
    )


def gpu(major, minor=0, *, bf16=None, kind="cuda"):
    ampere = (major, minor) >= (8, 0)
    return DeviceDescription(
        kind=kind,
        torch_device="cuda",
        name="test GPU",
        compute_capability=(major, minor) if kind == "cuda" else None,
        bf16_native=ampere if bf16 is None else bf16,
        tf32_native=ampere and kind == "cuda",
    )


def levels(found):
    return {name: support.level for name, support in found.dtypes.items()}


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", "bf16", "svebf16"])
def test_a_cpu_with_bf16_arithmetic_is_native_and_the_flag_is_named(flag):
    support = judge(cpu(flag), works).dtypes["bf16"]
    assert support.level == "native"
    assert flag in support.reason
    assert "this test" in support.source


@pytest.mark.parametrize("flag", ["avx512_fp16", "amx_fp16", "asimdhp", "fphp"])
def test_a_cpu_with_fp16_arithmetic_is_native(flag):
    assert judge(cpu(flag), works).dtypes["fp16"].level == "native"


def test_a_plain_cpu_emulates_both_and_still_trains_in_bf16():
    found = judge(cpu("avx2"), works)
    assert levels(found) == {
        "fp64": "native",
        "fp32": "native",
        "tf32": "absent",
        "bf16": "emulated",
        "fp16": "emulated",
    }
    assert found.best_amp().precision is Precision.BF16
    assert found.best_native_amp().precision is Precision.FP32
    assert "slower" in found.best_native_amp().reason


def test_unknown_flags_are_never_called_native():
    device = DeviceDescription(kind="cpu", torch_device="cpu", name="test CPU", flags_source="no source")
    support = judge(device, works).dtypes["bf16"]
    assert support.level == "emulated"
    assert "nothing says" in support.reason


def test_what_a_flag_promises_and_the_probe_denies_is_absent():
    found = judge(cpu("avx512_bf16"), lacking("bf16"))
    assert found.dtypes["bf16"].level == "absent"
    assert found.dtypes["bf16"].reason == "bf16 failed: not implemented"
    assert found.best_amp().precision is Precision.FP16


def test_native_fp16_beats_emulated_bf16():
    found = judge(cpu("avx512_fp16"), works)
    assert found.amp_precisions == (Precision.FP16, Precision.BF16)
    assert found.best_amp().precision is Precision.FP16


def test_a_device_without_half_formats_has_no_amp():
    found = judge(cpu(), lacking("bf16", "fp16"))
    assert found.amp_precisions == ()
    assert found.best_amp().precision is Precision.FP32


@pytest.mark.parametrize(
    ("device", "expected", "best"),
    [
        (gpu(9, 0), {"tf32": "native", "bf16": "native", "fp16": "native"}, Precision.BF16),
        (gpu(8, 6), {"tf32": "native", "bf16": "native", "fp16": "native"}, Precision.BF16),
        (gpu(7, 5), {"tf32": "absent", "bf16": "emulated", "fp16": "native"}, Precision.FP16),
        (gpu(5, 2), {"tf32": "absent", "bf16": "emulated", "fp16": "emulated"}, Precision.BF16),
        (gpu(9, 4, bf16=True, kind="rocm"), {"tf32": "absent", "bf16": "native", "fp16": "native"}, Precision.BF16),
    ],
    ids=["hopper", "ampere", "turing", "maxwell", "rocm"],
)
def test_each_kind_of_gpu_has_its_levels(device, expected, best):
    found = judge(device, works)
    assert {name: levels(found)[name] for name in expected} == expected
    assert found.best_amp().precision is best


def test_a_gpu_on_which_tf32_stays_fp32_has_none():
    assert judge(gpu(8), lacking("tf32")).dtypes["tf32"].level == "absent"


def test_every_answer_has_a_reason_and_a_source():
    for support in judge(cpu("avx2"), lacking("fp16")).dtypes.values():
        assert support.reason
        assert support.source


@pytest.mark.parametrize("name", ["fp64", "fp32", "bf16", "fp16"])
def test_this_cpu_computes_each_format_and_the_numbers_are_right(name):
    assert probe("cpu", name).works


def test_an_operation_that_is_missing_is_reported_with_pytorchs_words(monkeypatch):
    monkeypatch.setitem(capability._TORCH_DTYPES, "fp16", torch.float8_e4m3fn)
    found = probe("cpu", "fp16")
    assert not found.works
    assert "fp16 failed on cpu" in found.detail


def test_a_device_that_computes_in_another_format_is_unmasked(monkeypatch):
    finfo = torch.finfo

    class Coarser:
        def __init__(self, dtype):
            self.eps = finfo(torch.bfloat16).eps

    monkeypatch.setattr(torch, "finfo", Coarser)
    assert probe("cpu", "fp32").detail == "torch.float32 does not round as its format says"


def test_wrong_products_are_unmasked(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: torch.mm(a, b) + (a.dtype is torch.bfloat16))
    assert probe("cpu", "bf16").detail == "a product of small integers in torch.bfloat16 came out wrong"
    assert probe("cpu", "fp16").works


def test_wrong_gradients_are_unmasked(monkeypatch):
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args: tuple(gradient + 1 for gradient in grad(*args)))
    assert probe("cpu", "bf16").detail == "the gradient of a product in torch.bfloat16 came out wrong"


def test_tf32_on_a_cpu_is_seen_to_stay_fp32():
    found = probe("cpu", "tf32")
    assert not found.works
    assert "full FP32" in found.detail


def test_probing_leaves_the_tf32_switch_alone():
    before = torch.get_float32_matmul_precision()
    probe("cpu", "tf32")
    assert torch.get_float32_matmul_precision() == before


def test_this_machines_cpu_is_known_once_and_for_all():
    assert set(capability_of("cpu").dtypes) == set(DTYPES)
    assert capability_of("cpu") is capability_of("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_this_gpu_trains_in_some_low_precision():
    found = capability_of("cuda")
    assert found.dtypes["fp32"].level == "native"
    assert found.amp_precisions
