"""The reference kernel is the same work whatever the program around it has set, and disturbs nothing of it."""

from __future__ import annotations

import pytest
import torch

from amp_runtime.benchmark.intervals import Estimate
from amp_runtime.benchmark.reference import Narrow, ReferenceKernel, beside_reference
from amp_runtime.benchmark.sequential import Plan


def test_it_leaves_the_random_generators_and_the_grad_mode_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    ReferenceKernel()()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()


def test_settings_of_the_program_change_neither_its_numbers_nor_its_types() -> None:
    plain, inside = ReferenceKernel(), ReferenceKernel()
    plain()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside()
    assert inside._product.dtype is torch.float64
    assert torch.equal(plain._product, inside._product)
    assert torch.equal(plain._product, plain._left @ plain._right)


def test_it_can_be_called_in_the_middle_of_a_backward_pass() -> None:
    kernel, weight = ReferenceKernel(), torch.ones(3, requires_grad=True)
    loss = (weight * 2).sum()
    kernel()
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(0.995, 1.005, "pass"), (0.98, 1.005, "inconclusive"), (0.995, 1.02, "inconclusive")]
)
def test_sampling_ends_when_both_ends_of_the_interval_are_near(low: float, high: float, outcome: str) -> None:
    estimate = Estimate(value=1.0, low=low, high=high, confidence=0.95, samples=20)
    assert Narrow(within=0.01)(estimate) == outcome


def test_a_step_is_told_in_calls_of_the_reference() -> None:
    kernel = ReferenceKernel()

    def step() -> None:
        for _ in range(3):
            kernel()

    found = beside_reference(step, kernel, Plan(budget_s=120.0, most_pairs=16))
    assert found.ratio is not None
    assert found.ratio.value > 1
    assert len(found.first_s) == len(found.second_s) == 16
