from types import SimpleNamespace

import pytest
import torch

from amp_runtime import device
from amp_runtime.device import available_devices, best_device, describe, read_cpuinfo


def test_x86_flags_are_read_from_cpuinfo(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_bf16\n\nprocessor\t: 1\nflags\t\t: other\n")
    assert read_cpuinfo(cpuinfo) == {"fpu", "avx512_bf16", "amx_bf16"}


def test_arm_features_are_read_from_cpuinfo(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd asimdhp bf16\n")
    assert read_cpuinfo(cpuinfo) == {"fp", "asimd", "asimdhp", "bf16"}


@pytest.mark.parametrize("text", [None, "", "processor : 0\n"])
def test_cpuinfo_without_flags_is_no_knowledge(tmp_path, text):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert read_cpuinfo(tmp_path / "cpuinfo") is None


def test_without_proc_pytorchs_own_knowledge_is_used(monkeypatch):
    monkeypatch.setattr(device, "read_cpuinfo", lambda _path: None)
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "sve_bf16": True, "amx_fp16": False}
    )
    described = describe("cpu")
    assert described.flags == {"avx512_bf16", "svebf16"}
    assert described.flags_source == "torch.cpu"


def test_without_any_source_flags_are_unknown_and_not_empty(monkeypatch):
    monkeypatch.setattr(device, "read_cpuinfo", lambda _path: None)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert describe("cpu").flags is None


def test_this_cpu_is_described():
    described = describe("cpu")
    assert described.kind == "cpu"
    assert described.name.endswith("CPU")


@pytest.mark.parametrize(
    ("name", "message"),
    [("meta", "device type 'meta' is not known; use one of cpu, cuda"), ("gpu", "'gpu' names no device")],
)
def test_an_unknown_device_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        describe(name)


@pytest.fixture
def _no_gpu(monkeypatch):
    for backend in (torch.cuda, torch.xpu, torch.backends.mps):
        monkeypatch.setattr(backend, "is_available", lambda: False)


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize(("name", "kind"), [("cuda:0", "CUDA"), ("xpu", "XPU"), ("mps", "MPS")])
def test_a_gpu_that_is_not_there_is_refused(name, kind):
    with pytest.raises(ValueError, match=f"{name} was asked for, but PyTorch sees no {kind} device"):
        describe(name)


@pytest.mark.usefixtures("_no_gpu")
def test_a_machine_without_gpu_has_its_cpu():
    assert available_devices() == ("cpu",)
    assert best_device() == "cpu"


def present(monkeypatch, backend, count, **properties):
    monkeypatch.setattr(backend, "is_available", lambda: True)
    monkeypatch.setattr(backend, "device_count", lambda: count, raising=False)
    monkeypatch.setattr(backend, "get_device_properties", lambda _device: SimpleNamespace(**properties), raising=False)


@pytest.mark.usefixtures("_no_gpu")
def test_an_nvidia_gpu_is_known_by_its_compute_capability(monkeypatch):
    present(monkeypatch, torch.cuda, 2, name="NVIDIA T4", major=7, minor=5)
    monkeypatch.setattr(torch.version, "hip", None)
    described = describe("cuda:1")
    assert (described.kind, described.name, described.compute_capability) == ("cuda", "NVIDIA T4", (7, 5))
    assert described.architecture is None
    assert available_devices() == ("cpu", "cuda:0", "cuda:1")
    assert best_device() == "cuda"


@pytest.mark.usefixtures("_no_gpu")
def test_a_gpu_beyond_the_last_is_refused(monkeypatch):
    present(monkeypatch, torch.cuda, 2, name="NVIDIA T4", major=7, minor=5)
    with pytest.raises(ValueError, match="cuda:2 was asked for, but there is only cuda:0, cuda:1"):
        describe("cuda:2")


@pytest.mark.usefixtures("_no_gpu")
def test_an_amd_gpu_is_known_by_its_architecture(monkeypatch):
    present(monkeypatch, torch.cuda, 1, name="MI300X", major=9, minor=4, gcnArchName="gfx942:sramecc+:xnack-")
    monkeypatch.setattr(torch.version, "hip", "6.4")
    described = describe("cuda")
    assert (described.kind, described.architecture, described.compute_capability) == ("rocm", "gfx942", None)


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize("matrix", [True, False])
def test_an_intel_gpu_is_known_by_what_its_driver_says(monkeypatch, matrix):
    present(
        monkeypatch,
        torch.xpu,
        1,
        name="Arc",
        has_fp64=False,
        has_fp16=True,
        has_bfloat16_conversions=True,
        has_subgroup_matrix_multiply_accumulate=matrix,
    )
    described = describe("xpu")
    assert described.kind == "xpu"
    assert described.claims == {"fp64": False, "fp16": True, "bf16": matrix, "tf32": matrix, "int8": matrix}
    assert best_device() == "xpu"


@pytest.mark.usefixtures("_no_gpu")
def test_an_apple_gpu_is_known_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "get_name", lambda: "Apple M2", raising=False)
    assert (describe("mps").kind, describe("mps").name) == ("mps", "Apple M2")
    assert available_devices() == ("cpu", "mps")
    assert best_device() == "mps"
    monkeypatch.delattr(torch.backends.mps, "get_name")
    assert describe("mps").name == "Apple GPU"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_this_gpu_is_described():
    described = describe("cuda")
    assert described.kind in ("cuda", "rocm")
    assert described.name == torch.cuda.get_device_name()
