"""Where the first NaN or infinity was born: module, operator, operands, line, in either pass."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from tests.amp_runtime.instrument.deep.looking import amp_step, facts, look


class Squares(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.inner = nn.Linear(8, 8)
        self.factor = factor

    def forward(self, x):
        h = self.inner(x) * self.factor
        return (h * h).mean()


class Net(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.body = Squares(factor)

    def forward(self, x):
        return self.body(x)


def net(factor):
    torch.manual_seed(0)
    return Net(factor)


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


def test_an_overflow_in_the_forward_pass_is_told_with_all_it_takes_to_mend_it():
    record = look(amp_step(net(3e4), torch.randn(4, 8), lambda y: y, scale=1.0))
    birth = record.births[0]
    assert (birth.kind, birth.site.module, birth.site.operator, birth.site.phase) == (
        "inf", "body", "aten.mul", "forward",
    )  # fmt: skip
    assert birth.site.frame.path == __file__
    assert birth.site.frame.line == line_of(Squares.forward, "(h * h)")
    assert birth.site.frame.function == "Squares.forward"
    assert {operand.dtype for operand in birth.operands} == {birth.result.dtype} == {"float16"}
    assert all(256 < max(-operand.low, operand.high) <= 65504 for operand in birth.operands)
    assert birth.fp32_finite is True
    assert not birth.arrived


def test_a_healthy_step_bears_nothing():
    assert look(amp_step(net(1.0), torch.randn(4, 8), lambda y: y)).births == ()


def test_in_fp32_the_same_program_overflows_nowhere():
    assert look(amp_step(net(3e4), torch.randn(4, 8), lambda y: y, dtype=torch.float32)).births == ()


def test_an_overflow_in_the_backward_pass_is_told_with_the_line_of_its_forward_operator():
    step = amp_step(net(100.0), torch.randn(4, 8), lambda y: y, scale=2.0**15)
    birth = look(step).births[0]
    assert (birth.kind, birth.site.phase, birth.site.module) == ("inf", "backward", "body")
    assert birth.site.node == "MulBackward0"
    assert birth.site.frame.function == "Squares.forward"
    assert birth.fp32_finite is True


def test_nan_of_a_division_is_a_birth_and_says_which_operands():
    def program():
        zero = torch.zeros(3)
        zero / zero

    (birth,) = look(program).births
    assert (birth.kind, birth.site.operator, birth.site.module) == ("nan", "aten.div", "")
    assert [(operand.low, operand.high) for operand in birth.operands] == [(0.0, 0.0), (0.0, 0.0)]


def test_what_follows_from_nan_is_no_birth():
    def program():
        nothing = torch.zeros(3)
        bad = nothing / nothing
        (bad + 1).exp().sum()

    assert len(look(program).births) == 1


def test_nan_in_the_data_arrived_and_was_not_born():
    data = torch.tensor([1.0, float("nan")])
    births = look(lambda: torch.exp(data).sum()).births
    assert [(birth.arrived, birth.kind, birth.site.operator) for birth in births] == [(True, "nan", "aten.exp")]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_minus_infinity_that_is_written_on_purpose_is_no_birth_and_its_softmax_neither(dtype):
    scores = torch.randn(4, 4).to(dtype)
    mask = torch.ones(4, 4).tril() == 0
    assert look(lambda: scores.masked_fill(mask, float("-inf")).softmax(-1)).births == ()


def test_a_row_that_is_masked_as_a_whole_is_one_and_is_told():
    scores = torch.randn(4, 4, dtype=torch.float16)
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[2] = True
    record = look(lambda: scores.masked_fill(mask, float("-inf")).softmax(-1))
    assert [birth.kind for birth in record.births] == ["nan"]
    (row,) = facts(record, "masked-row")
    assert row.values == {"rows": 1.0}


def test_memory_that_was_never_written_says_nothing():
    def program():
        buffer = torch.empty(4)
        buffer.fill_(float("nan"))  # as the allocator may leave it
        fresh = torch.empty(4)
        fresh.copy_(torch.ones(4))
        (fresh + 1).sum()

    assert look(program).births == ()


def test_a_number_written_over_nan_is_healthy_again():
    def program():
        value = torch.zeros(2) / torch.zeros(2)
        value.zero_()
        (value + 1).log()

    assert len(look(program).births) == 1


def test_beyond_fp32_too_is_said():
    (birth,) = look(lambda: torch.full((2,), 300.0, dtype=torch.bfloat16).exp()).births
    assert birth.kind == "inf"
    assert birth.fp32_finite is False


def test_births_come_in_the_order_of_the_operators_however_many():
    def program():
        value = torch.full((2,), 3e4, dtype=torch.float16)
        for _ in range(700):  # more than are read at a time
            value + 1
        (value * 4) * 0

    births = look(program).births
    assert [birth.kind for birth in births] == ["inf", "nan"]
    assert [birth.number for birth in births] == sorted(birth.number for birth in births)


@pytest.mark.parametrize(
    ("family", "program"),
    [
        ("square", lambda x: x * x),
        ("square", lambda x: x.square()),
        ("square", lambda x: x**2),
        ("reduction", lambda x: x.sum()),
        ("matmul", lambda x: x @ x.mT),
        ("exp", lambda x: (x / 10).exp()),
    ],
)
def test_overflows_of_half_are_told_by_idiom(family, program):
    x = torch.full((16, 16), 5000.0, dtype=torch.float16)
    record = look(lambda: program(x))
    found = facts(record, f"overflow-{family}")
    if family == "exp":  # exp(500) is beyond FP32 too
        assert found == []
        record = look(lambda: program(x / 400 * 10))
        found = facts(record, "overflow-exp")
    assert len(found) == 1
    assert all(value <= 65504 for value in found[0].values.values())
    assert not [fact for fact in look(lambda: program(x.float())).facts if fact.kind.startswith("overflow")]


def test_an_activation_on_its_way_to_the_limit_is_told_and_one_that_is_not_is_not():
    mask = torch.tensor([True, False])
    lowest = torch.finfo(torch.float16).min
    written = look(lambda: torch.randn(2, dtype=torch.float16).masked_fill(mask, lowest).flip(0))
    assert facts(written, "near-overflow") == []
    near = look(lambda: torch.full((4,), 2e4, dtype=torch.float16) * 2)
    (fact,) = facts(near, "near-overflow")
    assert fact.values == {"largest": 40000.0, "limit": 65504.0}
    assert facts(look(lambda: torch.full((4,), 1e4, dtype=torch.float16) * 2), "near-overflow") == []
    assert facts(look(lambda: torch.full((4,), 2e4, dtype=torch.bfloat16) * 2), "near-overflow") == []
