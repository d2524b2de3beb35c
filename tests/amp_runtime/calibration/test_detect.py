import pytest
import torch

from amp_runtime.calibration.detect import detect
from amp_runtime.calibration.formats import PRECISIONS
from amp_runtime.capability import DtypeSupport, capability_of

CPU = torch.device("cpu")


def works(_device, _name):
    return DtypeSupport(works=True, native=True, reason="has it", source="test")


def test_this_cpu_supports_what_its_capability_says():
    found = detect(CPU)
    assert tuple(found) == PRECISIONS
    known = capability_of("cpu").dtypes
    for name, detection in found.items():
        support = known[{"fp8_e4m3": "fp8_e4m3fn"}.get(name, name)]
        assert (detection.supported, detection.native) == (support.works, support.native), name
        assert not detection.supported or detection.relative_error <= detection.tolerance


def test_the_tolerance_tells_formats_apart():
    found = detect(CPU, ("fp64", "fp32", "bf16", "int8"))
    assert found["int8"].relative_error == found["int8"].tolerance == 0
    for finer, coarser in (("fp64", "fp32"), ("fp32", "bf16")):
        assert found[finer].tolerance < found[coarser].relative_error


def test_wrong_numbers_are_no_support():
    def multiply(number_format, _device):
        off = 1 + (0.1 if number_format.name == "bf16" else 0)
        return torch.ones(3) * off, torch.ones(3)

    found = detect(CPU, ("fp32", "bf16"), multiply=multiply, support=works)
    assert found["fp32"].supported
    assert not found["bf16"].supported
    assert found["bf16"].reason.startswith("bf16 ran but its numbers are wrong: a product is off by 1.0e-01")


def test_numbers_that_are_not_finite_are_no_support():
    found = detect(CPU, ("fp16",), multiply=lambda *_: (torch.tensor([torch.inf]), torch.ones(1)), support=works)
    assert not found["fp16"].supported


def test_a_format_that_raises_keeps_pytorchs_reason():
    def multiply(number_format, _device):
        if number_format.name == "int8":
            raise RuntimeError("no int8 kernel here. Backends: CPU, CUDA\nmore")
        return torch.ones(1), torch.ones(1)

    found = detect(CPU, ("fp32", "int8"), multiply=multiply, support=works)
    assert found["int8"].reason == "int8 did not run: no int8 kernel here"
    assert found["fp32"].supported


def test_what_the_capability_probe_refuses_is_not_multiplied():
    def support(_device, name):
        return DtypeSupport(works=name != "fp64", native=False, reason=f"no {name}", source="test")

    def multiply(number_format, _device):
        assert number_format.name != "fp64"
        return torch.ones(1), torch.ones(1)

    found = detect(CPU, ("fp64", "fp32"), multiply=multiply, support=support)
    assert (found["fp64"].supported, found["fp64"].reason) == (False, "no fp64")
    assert (found["fp32"].supported, found["fp32"].native) == (True, False)


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match="precision 'fp4' is not known; use some of fp64, fp32"):
        detect(CPU, ("fp4",))
