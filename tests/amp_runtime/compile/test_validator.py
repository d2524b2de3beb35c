"""Compiled models are kept when they are right; everything else falls back, says why, and leaves no trace."""

import random

import pytest
import torch
from torch import nn

from amp_runtime.benchmark.pairing import Pairing
from amp_runtime.compile.config import CompileConfig
from amp_runtime.compile.validator import CompilationValidator, safe_compile_model
from tests.amp_runtime.compile import miscompiling as wrong
from tests.amp_runtime.compile.models import made, randn


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def config(backend="eager", **more):
    fields = {"passes": ("train",), "samples": 6, "benchmark": False, "pairing": Pairing(blocks=2, warm_up=1)}
    return CompileConfig(backend=backend, **(fields | more))


def compiler_state():
    from torch._dynamo import utils

    settings = {name: value for name, value in torch._dynamo.config.get_config_copy().items() if not callable(value)}
    counters = {name: dict(counted) for name, counted in utils.counters.items()}
    return settings, counters, {code: list(reasons) for code, reasons in utils.guard_failures.items()}


def state(model):
    return (
        [module.training for module in model.modules()],
        [(parameter.tolist(), parameter.requires_grad, id(parameter.grad)) for parameter in model.parameters()],
        [(id(buffer), buffer.tolist()) for buffer in model.buffers()],
        (random.getstate(), torch.get_rng_state().tolist(), torch.is_grad_enabled()),
        compiler_state(),
    )


def raising(_graph, _inputs):
    raise KeyError("no such kernel\nand a long story")


def raising_when_called(graph, _inputs):
    def run(*_args):
        raise ZeroDivisionError("inside the kernel")

    return run


@pytest.mark.parametrize("backend", ["eager", raising, raising_when_called, wrong.Miscompiling(wrong.scaled(1.01))])
def test_everything_is_as_before_whatever_happens(backend):
    model, sample = made("conv")
    model.norm.eval()
    model(sample).sum().backward()
    model.head.weight.requires_grad_(False)
    model.head.bias.grad = None
    given = sample.clone()
    before = state(model)
    module, result = safe_compile_model(model, sample, config(backend, benchmark=True))
    assert state(model) == before
    assert torch.equal(sample, given)
    assert result.success == (backend == "eager")
    assert (module is model) == result.fallback_used == (not result.success)


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (raising, ("while validating (fp32, train)", "KeyError", "no such kernel")),
        (raising_when_called, ("ZeroDivisionError: inside the kernel",)),
        ("no_such_backend", ("while compiling", "no_such_backend")),
        (wrong.Miscompiling(wrong.scaled(1.001)), ("validating (fp32, train)", "output")),
    ],
)
def test_a_fallback_says_what_and_where(backend, said):
    model, sample = made("mlp")
    result = CompilationValidator(config(backend)).compile_model(model, sample, "net")
    assert result.compiled_model is model
    assert not result.validation_passed
    for text in said:
        assert text in result.error_message
    assert "\n" not in result.error_message


def test_a_model_that_does_not_run_eager_is_not_the_compilers_fault():
    result = CompilationValidator(config()).compile_model(nn.Linear(3, 3), torch.ones(2, 5), "net")
    assert result.error_message.startswith("while running the eager model (fp32, train): RuntimeError")


def test_a_failure_leaves_no_compiled_code_behind():
    model, sample = made("mlp")
    code = type(model).forward.__code__
    entries = torch._C._dynamo.eval_frame._debug_get_cache_entry_list
    safe_compile_model(model, sample, config(wrong.Miscompiling(wrong.scaled(1.01))))
    assert not entries(code)


@pytest.mark.parametrize(
    ("name", "passes", "precisions"),
    [("mlp", ("train", "eval", "inference"), ("fp32", "bf16")), ("conv", ("train", "inference"), ("fp32",))],
)
def test_a_right_model_is_validated_in_every_pass_and_precision(name, passes, precisions):
    model, sample = made(name)
    module, result = safe_compile_model(model, sample, config("aot_eager", passes=passes, precisions=precisions))
    assert result.success, result.error_message
    assert result.validation_passed
    assert isinstance(module, torch._dynamo.eval_frame.OptimizedModule)
    seen = [(one["precision"], one["pass"]) for one in result.metadata["passes"]]
    assert seen == [(precision, which) for precision in precisions for which in passes]
    assert all(one["tensors"] > 1 for one in result.metadata["passes"])


def test_speed_is_measured_in_every_precision_and_steps_to_break_even_are_said():
    model, sample = made("mlp")
    lines = []
    validator = CompilationValidator(config(benchmark=True, precisions=("fp32", "bf16")), log=lines.append)
    result = validator.compile_model(model, sample, "net")
    assert [one["precision"] for one in result.metadata["speed"]] == ["fp32", "bf16"]
    speed = result.metadata["speed"][0]
    assert result.performance_improvement == pytest.approx(speed["speedup"] - 1)
    assert speed["compile_time_s"] > 0
    assert (speed["break_even_steps"] is None) == (speed["low"] <= 1 or speed["eager_s"] <= speed["compiled_s"])
    assert any("ms eager" in line for line in lines)
    status = validator.get_compilation_status()
    assert (status["attempted"], status["compiled"], status["validated"], status["fell_back"]) == (1, 1, 1, 0)


def test_other_shapes_are_compiled_again_and_counted():
    model, sample = made("mlp")
    others = [randn(7, 24, seed=1), randn(9, 24, seed=2)]
    result = CompilationValidator(config()).compile_model(model, sample, "net", other_samples=others)
    assert result.success, result.error_message
    assert result.metadata["recompilation_count"] == 1
    assert "size mismatch" in result.metadata["recompilations"][0]


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        x = self.layer(x)
        torch._dynamo.graph_break()
        return torch.tanh(x)


def test_graph_breaks_are_counted_with_their_reason_and_a_whole_graph_can_be_asked_for():
    sample = randn(3, 4, seed=0)
    result = CompilationValidator(config()).compile_model(Broken(), sample, "net")
    assert result.success, result.error_message
    assert result.metadata["graphs"] >= 2
    assert any("graph_break" in reason for reason in result.metadata["graph_breaks"])
    assert "graph break" in str(result)
    torch._dynamo.reset()
    result = CompilationValidator(config(fullgraph=True)).compile_model(Broken(), sample, "net")
    assert result.fallback_used
    assert "Unsupported" in result.error_message


class Growing(nn.Module):
    """Compiles anew in every call, as its number of calls is a constant of the graph."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(4, 4), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


def test_a_model_that_compiles_in_every_call_is_seen():
    result = CompilationValidator(config()).compile_model(Growing(), randn(3, 4, seed=0), "net")
    assert result.metadata["recompilation_count"] > 0 or not result.success


class Parameterless(nn.Module):
    def forward(self, x, scale=2.0):
        return {"y": torch.sin(x) * scale, "n": x.shape[0], "none": None}


def test_a_model_without_parameters_and_with_other_outputs():
    result = CompilationValidator(config("aot_eager")).compile_model(Parameterless(), {"x": randn(5, seed=0)}, "net")
    assert result.validation_passed, result.error_message


def test_what_is_compiled_already_is_unwrapped_and_a_compiled_part_is_refused():
    model, sample = made("mlp")
    result = CompilationValidator(config()).compile_model(torch.compile(model, backend="eager"), sample, "net")
    assert result.validation_passed
    model[0].compile(backend="eager")
    result = CompilationValidator(config()).compile_model(model, sample, "net")
    assert "compiled already" in result.error_message


def test_a_compiler_that_is_switched_off_is_no_success(monkeypatch):
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    model, sample = made("mlp")
    result = CompilationValidator(config()).compile_model(model, sample, "net")
    assert "captured nothing" in result.error_message


def test_without_validation_nothing_is_called_validated():
    model, sample = made("mlp")
    result = CompilationValidator(config(validate=False)).compile_model(model, sample, "net")
    assert (result.success, result.validation_passed) == (True, False)
    assert "not validated" in str(result)


def test_a_backend_with_other_random_numbers_is_told_from_a_wrong_one():
    def other_numbers(graph, _inputs):
        def run(*args):
            torch.rand(1)
            return graph.forward(*args)

        return run

    model, sample = made("block")
    result = CompilationValidator(config(other_numbers)).compile_model(model, sample, "net")
    assert "another order" in result.error_message
