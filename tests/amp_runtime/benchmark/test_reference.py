"""The reference kernel is the same work whatever the program around it has set, and disturbs nothing of it."""

from __future__ import annotations

import torch

from amp_runtime.benchmark.reference import ReferenceKernel


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


def test_a_stretch_has_as_many_calls_as_the_clock_needs() -> None:
    kernel = ReferenceKernel()
    assert kernel.per_stretch(1e-9) == 1
    assert kernel.per_stretch(10.0) > 10
