"""Both modes are validated from every seed, and a figure that one of them lacks is no figure."""

from __future__ import annotations

import math
from typing import Any

import pytest

from amp_runtime.probes.validating import validate
from amp_runtime.wire import Estimated, MeasureUnit, NotMeasured, Validated


class _Told:
    def __init__(self) -> None:
        self.items: list[Any] = []

    def phase(self, name: str) -> None:
        pass

    def item(self, item: Any) -> None:
        self.items.append(item)


def told(metrics: Any, *, seeds: tuple[int, ...] = (0, 1, 2, 3, 4), quality_s: float = 60.0) -> list[Any]:
    class Training:
        def __init__(self, amp: bool, seed: int) -> None:
            self.amp, self.seed, self.steps = amp, seed, 0

        def step(self) -> float:
            self.steps += 1
            return 1.0

        def evaluate(self) -> Any:
            assert self.steps == 3
            return metrics(self.amp, self.seed)

    unit = MeasureUnit(
        factory="p:f", seed=0, budget_s=1, brief_s=1, speedup={}, compile_speedup={}, seeds=seeds, steps=3,
        quality_s=quality_s,
    )  # fmt: skip
    reporter = _Told()
    validate(unit, Training, reporter)  # type: ignore[arg-type]
    return reporter.items


def test_differences_are_paired_by_seed():
    items = told(lambda amp, seed: {"accuracy": 0.9 + seed / 10 + (0.002 if amp else 0), "loss": 1.0 - amp / 10})
    assert [(one.seed, one.steps) for one in items if isinstance(one, Validated)] == [(n, 3) for n in range(5)]
    accuracy, loss = (one for one in items if isinstance(one, Estimated))
    assert (accuracy.what, accuracy.value, accuracy.low) == (
        "accuracy-difference",
        pytest.approx(0.002),
        pytest.approx(0.002),
    )
    assert (loss.what, loss.value, loss.samples) == ("loss-difference", pytest.approx(-0.1), 5)


def test_a_figure_that_is_not_finite_in_one_run_is_not_estimated_from_the_others():
    items = told(lambda amp, seed: {"accuracy": math.nan if amp and seed == 3 else 0.9, "loss": 1.0})
    missing = [one for one in items if isinstance(one, NotMeasured)]
    assert [(one.what, "for 4 of 5 seeds" in one.reason) for one in missing] == [("accuracy-difference", True)]


@pytest.mark.parametrize(
    "metrics", [lambda amp, seed: None, lambda amp, seed: {}, lambda amp, seed: {"accuracy": "high"}]
)
def test_what_evaluate_does_not_give_is_said(metrics: Any):
    assert {one.what for one in told(metrics) if isinstance(one, NotMeasured)} == {
        "accuracy-difference",
        "loss-difference",
    }


def test_no_further_seed_is_begun_when_the_time_is_over():
    items = told(lambda amp, seed: {"loss": 1.0}, quality_s=0.0)
    assert sum(isinstance(one, Validated) for one in items) == 1
