import dataclasses

import pytest
import torch

from amp_runtime.calibration.formats import FORMATS
from amp_runtime.calibration.measurement import Pace, measure
from amp_runtime.calibration.operations.contract import Case, Prepared
from amp_runtime.calibration.timing import Effort

CPU = torch.device("cpu")
EFFORT = Effort(budget_s=10.0, most_rounds=8)


class Costs:
    """A timer under which a call costs what its format costs here."""

    def __init__(self, seconds):
        self.seconds, self.called = seconds, []

    def __call__(self, call, calls):
        result = call()
        name = {found.dtype: found.name for found in FORMATS.values() if found.name != "tf32"}[result.dtype]
        self.called.append(name)
        return self.seconds[name] * calls


def case_of(call=lambda number_format: torch.ones(4, dtype=number_format.dtype), flops=1000, **changes):
    def prepare(number_format, _device):
        return Prepared(
            call=lambda: call(number_format), sampled=lambda result: (result.double(), torch.ones(4).double())
        )

    case = Case(
        operation="thing",
        name=str(flops),
        size=4,
        flops=flops,
        bytes_moved=lambda number_format: 4 * number_format.dtype.itemsize,
        precisions=("fp32", "bf16", "fp16"),
        terms=4,
        prepare=prepare,
        counted="as said",
    )
    return dataclasses.replace(case, **changes)


def test_rates_and_speedups_come_from_the_clock():
    timer = Costs({"fp32": 0.02, "bf16": 0.01, "fp16": 0.04})
    found = measure(case_of(), ("fp32", "bf16", "fp16"), CPU, timer, EFFORT, Pace()).measurements
    assert found["bf16"].seconds.value == pytest.approx(0.01)
    assert found["bf16"].flops_per_s == pytest.approx(1000 / 0.01)
    assert found["fp32"].bytes_per_s == pytest.approx(16 / 0.02)
    assert {name: one.speedup.value for name, one in found.items()} == pytest.approx(
        {"fp32": 1.0, "bf16": 2.0, "fp16": 0.5}
    )


def test_a_format_that_fails_on_one_operation_keeps_its_reason_and_spoils_nothing():
    def call(number_format):
        if number_format.name == "fp16":
            raise RuntimeError("not implemented for 'Half'")
        return torch.ones(4, dtype=number_format.dtype)

    timer = Costs({"fp32": 0.02, "bf16": 0.01})
    found = measure(case_of(call), ("fp32", "bf16", "fp16"), CPU, timer, EFFORT, Pace()).measurements
    assert found["fp16"].failed
    assert found["fp16"].reason == "thing 1000 in fp16 did not run: not implemented for 'Half'"
    assert found["bf16"].seconds is not None


@pytest.mark.parametrize(("wrong", "said"), [(1.1, "off by 1.0e-01"), (float("nan"), "off by inf")])
def test_wrong_numbers_are_never_timed(wrong, said):
    def call(number_format):
        return torch.full((4,), wrong if number_format.name == "bf16" else 1.0, dtype=number_format.dtype)

    timer = Costs({"fp32": 0.02, "bf16": 0.01})
    found = measure(case_of(call), ("fp32", "bf16"), CPU, timer, EFFORT, Pace()).measurements["bf16"]
    assert found.failed
    assert found.seconds is None
    assert "gave wrong numbers" in found.reason
    assert said in found.reason


def test_formats_that_the_operation_is_not_defined_for_are_not_tried():
    timer = Costs({"fp32": 0.02})
    assert set(measure(case_of(), ("fp64", "fp32"), CPU, timer, EFFORT, Pace()).measurements) == {"fp32"}


def test_every_format_is_timed_at_the_first_size_if_a_call_is_short_although_the_budget_is_spent():
    timer = Costs({"fp32": 0.001, "bf16": 0.2, "fp16": 0.4})
    spent = Effort(budget_s=0.01, most_rounds=8)
    matmul = case_of(operation="matmul")
    found = measure(matmul, ("fp32", "bf16", "fp16"), CPU, timer, spent, Pace()).measurements
    assert len(found["bf16"].timing.samples_s) == 7
    assert found["fp16"].seconds is None
    assert "not measured at this size" in found["fp16"].reason
    other = measure(case_of(), ("fp32", "bf16"), CPU, timer, spent, Pace()).measurements
    assert other["bf16"].seconds is None


def test_a_size_that_would_take_too_long_at_the_pace_of_a_smaller_one_is_not_begun():
    pace, timer = Pace(), Costs({"fp32": 0.001, "bf16": 0.5})
    measure(case_of(), ("fp32", "bf16"), CPU, timer, EFFORT, pace)
    begun = timer.called.count("bf16")
    found = measure(case_of(flops=100_000), ("fp32", "bf16"), CPU, timer, EFFORT, pace).measurements
    assert timer.called.count("bf16") == begun
    assert found["bf16"].reason == (
        "not measured at this size: one call would take about 50 s at the pace of a smaller one"
    )
    assert not found["bf16"].failed
    assert found["fp32"].seconds is not None
