"""Work by type of number, promotions, casts and waits."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

from tests.amp_runtime.instrument.deep.looking import amp_step, look


class Biased(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.last = nn.Linear(16, 8)
        self.register_buffer("shift", torch.zeros(16, dtype=dtype))

    def forward(self, x):
        return self.last(F.gelu(self.first(x) + self.shift))


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


def square(y):
    return y.float().square().mean()


def test_flops_are_those_of_torchs_own_counter_by_type():
    model, inputs = Biased(torch.float32), torch.randn(4, 16)
    step = amp_step(model, inputs, square, dtype=torch.bfloat16)
    with FlopCounterMode(display=False) as counter:
        step()
    work = look(step).work
    assert work.flops == {"bfloat16": counter.get_total_flops()}
    assert sum(sum(flops.values()) for flops in work.modules.values()) == counter.get_total_flops()
    assert set(work.modules) == {"first", "last"}
    assert work.moved_bytes["bfloat16"] > 0


def test_without_autocast_they_are_in_fp32():
    work = look(amp_step(Biased(torch.float32), torch.randn(4, 16), square, dtype=torch.float32)).work
    assert set(work.flops) == {"float32"}
    assert work.in_autocast == {}


def test_a_module_that_falls_back_is_told_although_autocast_is_on():
    weight = torch.randn(16, 16)

    class Falls(nn.Module):
        def forward(self, x):
            return torch.zeros(4, 16).addmm_(x.float(), weight)

    model = nn.Sequential(nn.Linear(16, 16), Falls())

    def program():
        with torch.autocast("cpu"):
            model(torch.randn(4, 16))

    work = look(program).work
    assert work.in_autocast == {"0": {"bfloat16": 2 * 4 * 16 * 16}, "1": {"float32": 2 * 4 * 16 * 16}}


def test_a_region_with_autocast_off_does_not_count_as_in_autocast():
    def program():
        with torch.autocast("cpu"), torch.autocast("cpu", enabled=False):
            torch.randn(4, 16) @ torch.randn(16, 4)

    work = look(program).work
    assert work.flops == {"float32": 512}
    assert work.in_autocast == {}


def test_attention_is_counted_on_the_cpu_too():
    q = torch.randn(2, 4, 32, 16, dtype=torch.bfloat16)
    assert look(lambda: F.scaled_dot_product_attention(q, q, q)).work.flops == {
        "bfloat16": 2 * 2 * 2 * 4 * 32 * 32 * 16
    }


def test_the_operand_that_pulls_a_result_up_to_fp32_is_named():
    model, inputs = Biased(torch.float32), torch.randn(4, 16)
    (promotion,) = look(amp_step(model, inputs, square, dtype=torch.bfloat16)).promotions
    assert (promotion.operand.origin, promotion.operand.dtype, promotion.operand.name) == ("shift", "float32", "other")
    assert promotion.site.operator == "aten.add"
    assert promotion.site.frame.line == line_of(Biased.forward, "self.shift")
    assert promotion.count == 1


def test_operands_of_one_type_promote_nothing():
    model, inputs = Biased(torch.bfloat16), torch.randn(4, 16)
    assert look(amp_step(model, inputs, square, dtype=torch.bfloat16)).promotions == ()


def test_casts_of_autocast_and_of_the_program_are_told_apart():
    model, inputs = nn.Linear(8, 8), torch.randn(4, 8)

    def program():
        with torch.autocast("cpu"):
            model(inputs).float()

    casts = {(cast.what, cast.source, cast.target): cast.automatic for cast in look(program).casts}
    assert casts == {
        ("weight", "float32", "bfloat16"): True,
        ("bias", "float32", "bfloat16"): True,
        ("", "float32", "bfloat16"): True,
        ("", "bfloat16", "float32"): False,
    }


def recurrent(model, inputs, inside):
    def program():
        h = inputs
        if inside:
            for _ in range(5):
                with torch.autocast("cpu"):
                    h = model(h)
        else:
            with torch.autocast("cpu"):
                for _ in range(5):
                    h = model(h)

    return program


def test_weights_that_are_cast_again_and_again_are_counted():
    model, inputs = nn.Sequential(nn.Linear(8, 8)), torch.randn(4, 8)
    assert look(recurrent(model, inputs, inside=True)).weight_recasts == {"0.weight": 5, "0.bias": 5}
    assert look(recurrent(model, inputs, inside=False)).weight_recasts == {}


def waits(x):
    x.sum().item()
    if x.isnan().any():
        return x
    x[x > 0]
    x.nonzero()
    return x.unique()


def test_lines_that_wait_for_the_device_are_counted():
    syncs = look(lambda: [waits(torch.randn(8)) for _ in range(3)]).syncs
    lines = sorted((sync.site.frame.line - waits.__code__.co_firstlineno, sync.count, sync.would) for sync in syncs)
    assert lines == [(1, 3, True), (2, 3, True), (4, 3, True), (5, 3, True), (6, 3, True)]
    assert {sync.site.frame.function for sync in syncs} == {"waits"}


def test_get_scale_is_told_by_its_name():
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))
    (sync,) = look(scaler.get_scale).syncs
    assert sync.site.through == "GradScaler.get_scale"


def test_what_does_not_wait_is_not_counted():
    def program():
        x = torch.randn(8)
        x[x > 0] = 0.0
        x[torch.tensor([0, 1])]
        x.sum().mul(2)

    assert look(program).syncs == ()


@pytest.mark.parametrize("foreach", [False, True])
def test_the_step_count_of_an_optimizer_waits_for_nothing(foreach):
    weight = nn.Parameter(torch.randn(4))
    weight.grad = torch.ones(4)
    optimizer = torch.optim.Adam([weight], foreach=foreach)
    assert look(optimizer.step).syncs == ()
