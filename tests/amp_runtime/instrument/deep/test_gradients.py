"""Gradients beside their FP32 shadows: underflow, overflow, and that the shadow is what FP32 gives."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.amp_runtime.instrument.deep.looking import amp_step, look


class Twice(nn.Module):
    """The same weight used twice, and an operation in place."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width) / width**0.5)

    def forward(self, x):
        y = x @ self.weight
        y += 0.5
        return (y @ self.weight).mul_(0.5)


LAYERS = {
    "linear": lambda width: nn.Linear(width, width),
    "relu": lambda width: nn.ReLU(),
    "gelu": lambda width: nn.GELU(),
    "tanh": lambda width: nn.Tanh(),
    "norm": nn.LayerNorm,
    "batch": nn.BatchNorm1d,
    "silu": lambda width: nn.SiLU(),
    "softmax": lambda width: nn.Softmax(-1),
    "twice": Twice,
}


def build(kinds, width):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, width), *(LAYERS[kind](width) for kind in kinds), nn.Linear(width, 1))


def fp32_gradients(model, inputs, loss_of, scale):
    for parameter in model.parameters():
        parameter.grad = None
    (loss_of(model(inputs)) * scale).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def shadows_of(step):
    """The record, and the shadow of each gradient as it arrives."""
    import amp_runtime.instrument.deep.gradients as module

    kept = []
    figures = module._figures

    def keeping(real, shadow, half):
        kept.append(shadow.clone())
        return figures(real, shadow, half)

    module._figures = keeping
    try:
        record = look(step)
    finally:
        module._figures = figures
    return record, kept


@settings(max_examples=40)
@given(
    kinds=st.lists(st.sampled_from(sorted(LAYERS)), max_size=5),
    width=st.sampled_from([3, 8, 16]),
    dtype=st.sampled_from([torch.float16, torch.bfloat16]),
    batch=st.integers(2, 6),
)
def test_the_shadow_of_a_gradient_is_the_gradient_of_the_same_step_in_fp32(kinds, width, dtype, batch):
    model = build(kinds, width)
    inputs = torch.randn(batch, width)
    loss_of = lambda y: y.float().square().mean()  # noqa: E731
    wanted = fp32_gradients(build(kinds, width), inputs, loss_of, 1.0 if dtype is torch.bfloat16 else 64.0)
    record, kept = shadows_of(amp_step(model, inputs, loss_of, dtype=dtype, scale=64.0))
    assert [seen.name for seen in record.gradients] == [seen.name for seen in record.gradients if seen.name in wanted]
    assert len(record.gradients) == len(wanted) == len(kept)
    for seen, shadow in zip(record.gradients, kept, strict=True):
        size = wanted[seen.name].abs().max().item()
        torch.testing.assert_close(shadow.float(), wanted[seen.name], rtol=1e-4, atol=1e-5 * size + 1e-12)
        assert seen.fp32_norm == pytest.approx(wanted[seen.name].norm().item(), rel=1e-3, abs=1e-9)


def test_the_shadow_of_the_loss_is_the_loss_in_fp32():
    model, inputs = build(["tanh", "linear"], 8), torch.randn(4, 8)
    loss_of = lambda y: y.float().square().mean()  # noqa: E731
    with torch.no_grad():
        wanted = loss_of(model(inputs)).item() * 1024
    (seen,) = look(amp_step(model, inputs, loss_of, dtype=torch.float16, scale=1024.0)).losses
    assert seen.fp32 == pytest.approx(wanted, rel=1e-6)
    assert seen.value != seen.fp32


def tiny_loss(y):
    return y.float().mean() * 1e-6


def test_gradients_that_vanish_without_a_scaler_are_counted():
    model, inputs = build(["tanh"], 8), torch.randn(4, 8)
    record = look(amp_step(model, inputs, tiny_loss, scale=1.0))
    weights = {seen.name: seen for seen in record.gradients}
    assert weights["0.weight"].zeroed + weights["0.weight"].subnormal > 0.9 * weights["0.weight"].nonzero
    assert weights["0.weight"].half == "float16"
    assert weights["0.weight"].elements == 64
    assert weights["0.weight"].zeros >= weights["0.weight"].zeroed
    assert weights["0.weight"].compared
    assert record.scale == 1.0


def test_with_the_scale_they_do_not():
    model, inputs = build(["tanh"], 8), torch.randn(4, 8)
    record = look(amp_step(model, inputs, tiny_loss, scale=2.0**24))
    assert sum(seen.zeroed + seen.overflowed for seen in record.gradients) == 0
    assert all(seen.relative_error < 0.05 and seen.cosine > 0.99 for seen in record.gradients)
    assert record.scale == 2.0**24


def test_gradients_that_overflow_are_counted_and_their_shadows_are_finite():
    model, inputs = build(["tanh"], 8), torch.randn(4, 8)
    record = look(amp_step(model, inputs, lambda y: y.float().mean(), scale=2.0**30))
    seen = {seen.name: seen for seen in record.gradients}["0.weight"]
    assert seen.overflowed == seen.elements == 64
    assert math.isfinite(seen.fp32_norm)
    assert seen.fp32_norm == 0.0  # of elements finite on both sides: none


def test_in_fp32_there_is_nothing_between_a_gradient_and_its_reference():
    model, inputs = build(["tanh"], 8), torch.randn(4, 8)
    record = look(amp_step(model, inputs, tiny_loss, dtype=torch.float32))
    assert {(seen.half, seen.zeroed, seen.relative_error) for seen in record.gradients} == {("", 0, 0.0)}
    assert record.shadow.operators == 0
    assert record.shadow.peak_bytes == 0


def test_dropout_draws_once_and_its_mask_is_shared():
    torch.manual_seed(3)
    model, inputs = nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.5), nn.Linear(64, 1)), torch.randn(4, 8)
    record = look(amp_step(model, inputs, lambda y: y.float().square().mean()))
    assert all(seen.relative_error < 0.01 for seen in record.gradients)
    assert record.shadow.taken == {"aten.bernoulli_": 1}


def test_gradients_over_several_backward_passes_are_added_up():
    model, inputs = build([], 8), torch.randn(4, 8)

    def program():
        for _ in range(3):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                model(inputs).float().mean().backward()

    record = look(program)
    assert {seen.name: seen.elements for seen in record.gradients}["0.weight"] == 3 * 64
    assert len(record.losses) == 3


def test_half_parameters_and_parameters_outside_of_modules_are_compared_too():
    loose = torch.randn(8, 8, dtype=torch.bfloat16, requires_grad=True)
    record = look(lambda: (torch.randn(4, 8, dtype=torch.bfloat16) @ loose).float().square().mean().backward())
    (seen,) = record.gradients
    assert seen.name == "tensor 1 of shape (8, 8)"
    assert (seen.dtype, seen.half) == ("bfloat16", "bfloat16")
    assert 0 < seen.relative_error < 0.05


def test_the_worst_places_come_first_and_say_what_was_only_handed_on():
    def program():
        value = torch.linspace(1, 2, 1000)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = value.to(torch.bfloat16) * 256
            (half - 256).float() * 2  # cancellation

    worst = look(program).deviations
    assert [deviation.error for deviation in worst] == sorted((d.error for d in worst), reverse=True)
    doubled = next(deviation for deviation in worst if deviation.site.operator == "aten.mul" and deviation.error < 0.1)
    made = next(deviation for deviation in worst if deviation.site.operator == "aten.sub")
    assert made.error >= doubled.error
    assert made.count == 1
    cast = next(deviation for deviation in worst if deviation.inherited == 0.0)
    assert cast.site.operator == "aten._to_copy"


def test_a_spent_budget_ends_the_comparison_and_nothing_else():
    model, inputs = build(["tanh"], 16), torch.randn(4, 16)
    record = look(amp_step(model, inputs, tiny_loss), budget_bytes=500)
    assert record.shadow.stopped.startswith("FP32 shadows took more than the 500 bytes")
    assert record.shadow.peak_bytes <= 500
    assert record.work.flops["float16"] > 0
    assert len(record.gradients) == 4
    assert {seen.compared for seen in record.gradients} == {False}
    assert all(math.isnan(seen.relative_error) and not math.isnan(seen.norm) for seen in record.gradients)


def test_shadows_die_with_their_tensors():
    def program():
        for _ in range(400):
            torch.randn(64, 64).to(torch.bfloat16) * 2

    assert look(program).shadow.peak_bytes < 300 * 2 * 64 * 64 * 4


def test_memory_seen_as_another_type_of_number_is_left_alone():
    def program():
        half = torch.randn(8, dtype=torch.bfloat16) * 3
        bits = half.view(torch.int16)
        bits.add_(1)
        (half * 2).sum()

    assert look(program).births == ()
