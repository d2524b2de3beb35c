"""One operator of a graph is changed, and the comparison with float64 sees it; a right graph passes."""

import pytest
import torch

from amp_runtime.compile.config import CompileConfig
from amp_runtime.compile.validator import CompilationValidator
from tests.amp_runtime.compile import miscompiling as wrong
from tests.amp_runtime.compile.models import made


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def validated(name, backend, precision="fp32"):
    model, sample = made(name)
    config = CompileConfig(backend=backend, precisions=(precision,), passes=("train",), samples=6, benchmark=False)
    return CompilationValidator(config).compile_model(model, sample, name)


@pytest.mark.parametrize(("name", "precision"), [("mlp", "fp16"), ("tied", "bf16"), ("records", "bf16")])
def test_a_right_graph_passes(name, precision):
    result = validated(name, "aot_eager", precision)
    assert result.validation_passed, result.error_message


# All of them, over more models and seeds, are counted in tests/benchmarks/test_miscompilation.py.
@pytest.mark.parametrize(
    ("name", "forward", "backward", "where"),
    [
        ("mlp", wrong.scaled(1.001, which=0), None, "output"),
        ("mlp", wrong.without_bias, None, "output"),
        ("tied", wrong.accumulated_in_bfloat16, None, "output"),
        ("conv", wrong.stale_buffers, None, "buffer"),
        ("mlp", wrong.last_row_off(1.001), None, "output"),
        ("mlp", None, wrong.scaled(1.001), "gradient"),
    ],
)
def test_one_changed_operator_is_seen(name, forward, backward, where):
    backend = wrong.Miscompiling(forward, backward)
    result = validated(name, backend)
    assert backend.applied
    assert where in result.error_message


def test_in_bfloat16_an_error_of_a_tenth_is_seen():
    result = validated("mlp", wrong.Miscompiling(wrong.scaled(1.1)), "bf16")
    assert result.fallback_used
    assert "output" in result.error_message
