import pytest
import torch

from amp_runtime import device
from amp_runtime.device import describe, read_cpuinfo


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


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="device type 'meta' is not known"):
        describe("meta")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="PyTorch sees no CUDA device"):
        describe("cuda:0")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_this_gpu_is_described():
    described = describe("cuda")
    assert described.kind in ("cuda", "rocm")
    assert described.name == torch.cuda.get_device_name()
