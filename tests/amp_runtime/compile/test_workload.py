import pytest
import torch
from torch import nn

from amp_runtime.compile.workload import validate_workload
from amp_runtime.wire import CompileChecked, from_json, to_json
from tests.amp_runtime.compile import miscompiling as wrong


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Training:
    def __init__(self, amp, seed):
        torch.manual_seed(seed)
        self.model = nn.Linear(4, 3)
        self.precision = "bf16" if amp else "fp32"
        self.steps = 0

    def step(self):
        self.steps += 1
        self.model(torch.randn(5, 4)).sum().backward()
        return 1.0


def made(*, amp, seed):
    return Training(amp, seed)


def _nothing(*, amp, seed):
    return (amp, seed)


def checked(factory=made, **more):
    return validate_workload(factory, passes=("train",), samples=6, **({"backend": "eager"} | more))


def test_the_model_is_validated_in_fp32_and_in_what_it_trains_in_and_crosses_the_line():
    found = checked(benchmark=False)
    assert found.validated, found.reason
    assert found.precisions == ("fp32", "bf16")
    assert [(one.precision, one.holds) for one in found.passes] == [("fp32", True), ("bf16", True)]
    assert from_json(CompileChecked, to_json(found)) == found


def test_a_wrong_one_is_not():
    found = checked(backend=wrong.Miscompiling(wrong.scaled(1.01)), precisions=("fp32",))
    assert not found.validated
    assert "output" in found.reason


def test_what_cannot_be_compiled_says_why():
    class Other(Training):
        def step(self):
            return self.model.weight.sum().item()

    assert "does not call the model" in checked(lambda *, amp, seed: Other(amp, seed)).reason
    assert "no torch module" in checked(_nothing).reason


def test_a_machine_without_a_compiler_is_told_from_a_failure(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_args, **_kwargs: None)
    found = checked(backend="inductor")
    assert not found.validated
    assert "C++ compiler" in found.missing
