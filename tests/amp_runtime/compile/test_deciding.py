"""The rule on simulated errors: rounding passes, what is the same in every sample does not."""

import pytest
import torch

from amp_runtime.compile.deciding import verdict
from amp_runtime.compile.errors import Errors

ROUNDOFF = 2.0**-24
SAMPLES = 8


def judged(make_error, *, elements=200, seed=0, noise=1e-3, own=ROUNDOFF):
    """Judge a tensor of size 1 whose eager errors are independent; `make_error` gives the compiled ones."""
    draw = torch.Generator().manual_seed(seed)
    exact = torch.randn(elements, generator=draw, dtype=torch.float64)
    errors = Errors()
    for _ in range(SAMPLES):
        eager, honest = (noise * torch.randn(elements, generator=draw, dtype=torch.float64) for _ in range(2))
        errors.add(exact, exact + eager, exact + make_error(honest, exact))
    return verdict(errors.figures(), own, 1.0)


def same_size(honest, _exact):
    return honest


@pytest.mark.parametrize("elements", [1, 2, 5, 40, 1000])
def test_equal_noise_passes_whatever_the_number_of_elements(elements):
    alarms = [reason for seed in range(100) if (reason := judged(same_size, elements=elements, seed=seed))]
    assert alarms == []


@pytest.mark.parametrize("elements", [1, 2, 5, 40, 1000])
def test_noise_that_hangs_on_one_number_is_no_more_suspicious(elements):
    def one_number(honest, exact):
        return honest[0] * exact

    assert [reason for seed in range(50) if (reason := judged(one_number, elements=elements, seed=seed))] == []


def test_larger_noise_does_not_pass():
    assert "times eager's" in judged(lambda honest, _exact: 8 * honest)


@pytest.mark.parametrize("seed", range(5))
def test_a_common_part_a_little_larger_than_the_noise_does_not_pass(seed):
    assert "the same error" in judged(lambda honest, exact: honest + 1.5e-3 * exact, seed=seed)


def test_a_rare_flip_passes():
    """A ReLU at its kink, in one sample of eight, is rounding too."""
    turn = iter(range(SAMPLES))

    def flipped(honest, _exact):
        return honest + (next(turn) == 3) * torch.eye(1, honest.numel(), dtype=torch.float64)[0]

    assert judged(flipped) == ""


def test_one_element_that_is_always_wrong_does_not_pass():
    def one(honest, _exact):
        honest[7] += 1e-2
        return honest

    assert "one of its elements" in judged(one, elements=4000)


def test_no_error_beside_no_error_passes_and_the_last_bits_are_none():
    assert judged(lambda _honest, exact: 0 * exact, noise=0.0) == ""
    assert judged(lambda _honest, exact: 2**-24 * exact, noise=0.0) == ""
    assert "not eager's" in judged(lambda _honest, exact: 2**-20 * exact, noise=0.0)


def test_what_is_not_finite_where_eager_is_does_not_pass():
    assert "not finite" in judged(lambda honest, _exact: honest + float("nan"))


def test_integers_are_right_as_often_as_eager_ones():
    def decide(eager_off, compiled_off):
        errors = Errors()
        exact = torch.arange(10)
        for _ in range(SAMPLES):
            eager, compiled = exact.clone(), exact.clone()
            eager[:eager_off] += 1
            compiled[:compiled_off] += 1
            errors.add(exact, eager, compiled)
        return errors.figures().wrong

    assert decide(0, 0) == decide(2, 2) == decide(2, 1) == 0
    assert decide(0, 1) == decide(1, 2) == SAMPLES
