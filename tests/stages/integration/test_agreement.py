"""The two measures: honest noise passes, and what does not learn or ends elsewhere does not."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from stages.integration.agreement import agreement, decrease

LOSSES = st.lists(st.floats(min_value=1e-3, max_value=1e3), min_size=4, max_size=60)


def falling(noise: float, seed: int, rate: float = 0.95, steps: int = 40) -> list[float]:
    generator = random.Random(seed)
    return [2.0 * rate**step * (1 + generator.gauss(0, noise)) for step in range(steps)]


def test_a_falling_loss_is_enough_and_a_flat_one_is_not() -> None:
    assert decrease(falling(0.05, 1)).enough
    assert not decrease([1.0] * 40).enough
    assert not decrease([1.0 - 0.001 * step for step in range(40)]).enough


def test_a_falling_negative_loss_is_enough() -> None:
    assert decrease([-1.0 - 0.1 * step for step in range(40)]).enough
    assert not decrease([-5.0 + 0.1 * step for step in range(40)]).enough


def test_rounding_noise_agrees_for_every_seed() -> None:
    for seed in range(200):
        assert agreement(falling(0.0, 0), falling(0.02, seed)).holds


def test_slower_and_faster_training_both_disagree() -> None:
    assert not agreement(falling(0.0, 0), falling(0.0, 0, rate=0.975)).holds
    assert not agreement(falling(0.0, 0, rate=0.99), falling(0.0, 0, rate=0.95)).holds


@given(LOSSES)
def test_a_run_agrees_with_itself(losses: list[float]) -> None:
    assert agreement(losses, losses).value == 0
    assert agreement(losses, losses).holds


@given(LOSSES, st.floats(min_value=0.01, max_value=100))
def test_the_judgement_does_not_depend_on_the_unit_of_the_loss(losses: list[float], factor: float) -> None:
    scaled = agreement([loss * factor for loss in losses], [loss * factor * 1.5 for loss in losses])
    plain = agreement(losses, [loss * 1.5 for loss in losses])
    assert abs(scaled.value - factor * plain.value) <= 1e-9 * abs(scaled.value)
    assert abs(scaled.tolerance - factor * plain.tolerance) <= 1e-9 * abs(scaled.tolerance)
