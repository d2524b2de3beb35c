import pytest
import torch

from amp_runtime.capability import DTYPES, Probe, capability_of, judge
from amp_runtime.device import DeviceDescription
from amp_runtime.precision import Precision
from tests.amp_runtime.capability.devices import amd, apple, cpu, intel, lacking, levels, nvidia, works

FP8 = [name for name in DTYPES if name.startswith("fp8")]
NATIVE, EMULATED, ABSENT = "native", "emulated", "absent"


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", "bf16", "svebf16"])
def test_a_cpu_with_bf16_arithmetic_is_native_and_the_flag_is_named(flag):
    support = judge(cpu(flag), works).dtypes["bf16"]
    assert support.level == NATIVE
    assert flag in support.reason
    assert "this test" in support.source


@pytest.mark.parametrize("flag", ["avx512_fp16", "amx_fp16", "asimdhp", "fphp"])
def test_a_cpu_with_fp16_arithmetic_is_native(flag):
    assert judge(cpu(flag), works).dtypes["fp16"].level == NATIVE


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "svei8mm"])
def test_a_cpu_with_int8_products_is_native(flag):
    assert judge(cpu(flag), works).dtypes["int8"].level == NATIVE


def test_a_plain_cpu_emulates_the_low_formats_and_still_trains_in_bf16():
    found = judge(cpu("avx2"), lacking("tf32"))
    assert levels(found) == {
        "fp64": NATIVE,
        "fp32": NATIVE,
        "tf32": ABSENT,
        "bf16": EMULATED,
        "fp16": EMULATED,
        **dict.fromkeys(FP8, EMULATED),
        "int8": EMULATED,
    }
    assert found.best_amp().precision is Precision.BF16
    assert found.best_native_amp().precision is Precision.FP32
    assert "slower" in found.best_native_amp().reason


def test_unknown_flags_are_never_called_native():
    device = DeviceDescription(kind="cpu", torch_device="cpu", name="test CPU", flags_source="no source")
    found = judge(device, works)
    assert {found.dtypes[name].level for name in ("bf16", "fp16", "int8")} == {EMULATED}
    assert "nothing says" in found.dtypes["bf16"].reason


def test_what_a_flag_promises_and_the_probe_denies_is_absent():
    found = judge(cpu("avx512_bf16"), lacking("bf16"))
    assert found.dtypes["bf16"].level == ABSENT
    assert found.dtypes["bf16"].reason == "bf16 failed: not implemented"
    assert found.best_amp().precision is Precision.FP16


def test_what_no_table_promises_and_the_probe_shows_works():
    found = judge(cpu(), works)
    assert found.dtypes["tf32"].works
    assert judge(nvidia(7, 0), works).dtypes["fp8_e4m3fn"].level == EMULATED


def test_native_fp16_beats_emulated_bf16():
    found = judge(cpu("avx512_fp16"), works)
    assert found.amp_precisions == (Precision.FP16, Precision.BF16)
    assert found.best_amp().precision is Precision.FP16


def test_a_device_without_half_formats_has_no_amp():
    found = judge(cpu(), lacking("bf16", "fp16"))
    assert found.amp_precisions == ()
    assert found.best_amp().precision is Precision.FP32
    assert found.best_native_amp().precision is Precision.FP32


XMX = {"fp64": True, "fp16": True, "bf16": True, "tf32": True, "int8": True}
GPUS = {
    # device, what fails on it, levels, best
    "blackwell": (nvidia(10), (), {"tf32": NATIVE, "bf16": NATIVE, "fp8_e4m3fn": NATIVE, "int8": NATIVE}, "bf16"),
    "hopper": (nvidia(9), (), {"tf32": NATIVE, "bf16": NATIVE, "fp16": NATIVE, "fp8_e5m2": NATIVE}, "bf16"),
    "ada": (nvidia(8, 9), ("fp8_e4m3fnuz",), {"fp8_e4m3fn": NATIVE, "fp8_e4m3fnuz": ABSENT}, "bf16"),
    "ampere": (nvidia(8, 6), FP8, {"tf32": NATIVE, "bf16": NATIVE, "fp8_e4m3fn": ABSENT, "int8": NATIVE}, "bf16"),
    "turing": (nvidia(7, 5), ("tf32",), {"tf32": ABSENT, "bf16": EMULATED, "fp16": NATIVE}, "fp16"),
    "volta": (nvidia(7), (), {"tf32": EMULATED, "bf16": EMULATED, "fp16": NATIVE, "fp64": NATIVE}, "fp16"),
    "pascal desktop": (nvidia(6, 1), (), {"fp16": EMULATED, "bf16": EMULATED, "int8": NATIVE}, "bf16"),
    "pascal server": (nvidia(6, 0), (), {"fp16": NATIVE, "int8": EMULATED}, "fp16"),
    "maxwell": (nvidia(5, 2), (), {"bf16": EMULATED, "fp16": EMULATED}, "bf16"),
    "MI300": (
        amd("gfx942"),
        (),
        {"tf32": NATIVE, "bf16": NATIVE, "fp8_e4m3fnuz": NATIVE, "fp8_e4m3fn": EMULATED},
        "bf16",
    ),
    "MI350": (amd("gfx950"), ("tf32",), {"bf16": NATIVE, "fp8_e4m3fn": NATIVE, "fp8_e5m2fnuz": EMULATED}, "bf16"),
    "MI250": (amd("gfx90a"), FP8, {"tf32": EMULATED, "bf16": NATIVE, "fp16": NATIVE, "int8": NATIVE}, "bf16"),
    "MI25": (amd("gfx900"), (), {"bf16": EMULATED, "fp16": NATIVE, "int8": EMULATED}, "fp16"),
    "RX 6800": (amd("gfx1030"), (), {"bf16": EMULATED, "fp16": NATIVE, "int8": NATIVE}, "fp16"),
    "RX 7900": (amd("gfx1100"), (), {"bf16": NATIVE, "fp16": NATIVE, "fp64": NATIVE}, "bf16"),
    "Intel with XMX": (
        intel(**XMX),
        (),
        {"tf32": NATIVE, "bf16": NATIVE, "int8": NATIVE, "fp8_e5m2": EMULATED},
        "bf16",
    ),
    "Intel without": (
        intel(fp64=False, fp16=True, bf16=False, tf32=False, int8=False),
        ("fp64",),
        {"fp64": ABSENT, "fp16": NATIVE, "bf16": EMULATED, "tf32": EMULATED},
        "fp16",
    ),
    "Apple M1": (apple("Apple M1 Pro"), ("fp64", *FP8), {"fp64": ABSENT, "bf16": EMULATED, "fp16": NATIVE}, "fp16"),
    "Apple M4": (apple("Apple M4"), ("fp64",), {"bf16": NATIVE, "fp16": NATIVE, "int8": EMULATED}, "bf16"),
    "Apple unnamed": (apple("Apple GPU"), (), {"bf16": EMULATED, "fp32": NATIVE}, "fp16"),
}


@pytest.mark.parametrize("name", GPUS)
def test_each_kind_of_gpu_has_its_levels(name):
    device, fails, expected, best = GPUS[name]
    found = judge(device, lacking(*fails))
    assert {dtype: levels(found)[dtype] for dtype in expected} == expected
    assert found.best_amp().precision == best


@pytest.mark.parametrize("device", [amd(None), nvidia(9).__class__(kind="cuda", torch_device="cuda", name="GPU")])
def test_a_gpu_that_says_nothing_of_itself_is_never_called_native_for_amp(device):
    found = judge(device, works)
    assert {found.dtypes[name].level for name in ("bf16", "fp16", "tf32", "int8")} == {EMULATED}
    assert "nothing says" in found.dtypes["bf16"].reason


def test_a_gpu_on_which_tf32_stays_fp32_has_none():
    assert judge(nvidia(8), lacking("tf32")).dtypes["tf32"].level == ABSENT


@pytest.mark.parametrize("name", GPUS)
def test_every_answer_has_a_reason_and_a_source(name):
    for support in judge(GPUS[name][0], lacking("fp16")).dtypes.values():
        assert support.reason
        assert support.source


def test_the_probe_is_asked_for_each_format_once_and_on_the_right_device():
    asked = []
    judge(nvidia(8), lambda device, name: asked.append((device, name)) or Probe(works=True, detail=""))
    assert asked == [("cuda", name) for name in DTYPES]


def test_this_machines_cpu_is_known_once_and_for_all():
    found = capability_of("cpu")
    assert set(found.dtypes) == set(DTYPES)
    assert found is capability_of("cpu")
    assert {found.dtypes[name].works for name in ("fp64", "fp32", "bf16", "fp16")} == {True}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_this_gpu_trains_in_some_low_precision():
    found = capability_of("cuda")
    assert found.dtypes["fp32"].level == NATIVE
    assert found.amp_precisions
