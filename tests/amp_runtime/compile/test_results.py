import pytest
from torch import nn

from amp_runtime.benchmark.intervals import Estimate
from amp_runtime.compile.results import ComparisonResult, CompilationResult

MODEL = nn.Identity()


def compared(eager_s, compiled_s, low, high):
    value = eager_s / compiled_s
    return ComparisonResult(
        precision="bf16",
        eager_s=(eager_s,) * 6,
        compiled_s=(compiled_s,) * 6,
        speedup=Estimate(value=value, low=low, high=high, confidence=0.95, samples=6),
        compile_time_s=3.0,
    )


def test_steps_to_break_even():
    found = compared(0.004, 0.001, 3.5, 4.5)
    assert found.break_even_steps == 1000
    assert found.improvement == pytest.approx(3.0)
    assert "pays after 1000 steps" in str(found)


@pytest.mark.parametrize(("eager_s", "compiled_s", "low"), [(1.0, 2.0, 0.4), (1.0, 1.0, 0.9), (2.0, 1.9, 0.99)])
def test_what_is_not_faster_for_certain_never_pays(eager_s, compiled_s, low):
    found = compared(eager_s, compiled_s, low, 1.2)
    assert found.break_even_steps is None
    assert "never pays" in str(found)


def test_a_measured_zero_is_shown_and_an_unmeasured_one_is_not():
    measured = CompilationResult(success=True, compiled_model=MODEL, performance_improvement=0.0)
    assert "+0.0% speed" in str(measured)
    assert "speed" not in str(CompilationResult(success=True, compiled_model=MODEL))


def test_a_fallback_says_why():
    failed = CompilationResult(
        success=False, compiled_model=MODEL, fallback_used=True, error_message="while x: y", metadata={"model": "net"}
    )
    assert str(failed) == "net was not compiled with the compiler, the eager model is used: while x: y"
