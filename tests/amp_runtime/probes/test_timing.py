"""Two modes are timed in pairs for as long as they may take, and what a step did not do is counted."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch

from amp_runtime.probes.compiling import time_compiled
from amp_runtime.probes.timing import time_modes, wanted_on
from amp_runtime.wire import MeasureUnit, NotMeasured, to_json

if TYPE_CHECKING:
    from amp_runtime.wire_performance import Timed


def unit(**fields: Any) -> MeasureUnit:
    defaults: dict[str, Any] = {"budget_s": 5.0, "brief_s": 0.02, "speedup": {}, "compile_speedup": {}}
    return MeasureUnit(factory="pkg:factory", seed=0, **(defaults | fields))


def pause(seconds: float) -> Any:
    return lambda: time.sleep(seconds)


def timed(first: Any, second: Any, gain: float | None = None, **fields: Any) -> Timed:
    return time_modes(("fp32", "amp"), (first, second), gain, unit(**fields), "cpu")


def test_a_bound_that_is_cleared_ends_the_sampling():
    found = timed(pause(0.02), lambda: None, gain=1.5)
    assert found.outcome == "pass"
    assert len(found.first_s) == len(found.second_s) == len(found.second_led) == found.looks[-1]
    assert 0 < found.low <= found.ratio <= found.high < 1 / 1.5


def test_a_bound_that_is_missed_is_said_to_be():
    assert timed(lambda: None, pause(0.01), gain=1.5).outcome == "fail"


def test_a_budget_that_is_too_short_brings_a_few_pairs_that_decide_nothing():
    found = timed(pause(0.05), pause(0.05), brief_s=0.01)
    assert (len(found.first_s), found.calls, found.outcome) == (4, 1, "inconclusive")
    assert found.confidence < 0.9
    assert found.low <= found.ratio <= found.high


def test_everything_that_is_reported_is_a_plain_finite_value():
    data = to_json(timed(pause(0), pause(0)))
    assert isinstance(data, dict)
    assert all(math.isfinite(value) for value in data["noise"].values())


def test_a_step_in_which_no_optimizer_ran_is_counted_as_skipped():
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    calls = iter(range(10_000))

    def every_other() -> None:
        if next(calls) % 2:
            optimizer.step()

    assert timed(pause(0.001), every_other).skipped == pytest.approx(0.5, abs=0.2)
    assert timed(pause(0.001), pause(0.001)).skipped == 0  # no optimizer of torch is at work at all


def test_what_is_wanted_depends_on_the_kind_of_device():
    gains = {"cuda": 1.5, "any": 1.1}
    assert [wanted_on(name, gains) for name in ("cuda:1", "cpu", "mps")] == [1.5, 1.1, 1.1]
    assert wanted_on("cpu", {"cuda": 1.5}) is None


class _Told:
    def __init__(self) -> None:
        self.items: list[Any] = []

    def phase(self, name: str) -> None:
        pass

    def item(self, item: Any) -> None:
        self.items.append(item)


class _Broken(torch.nn.Module):
    def compile(self, *_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("no compiler\nand a long story")


class _Idle(torch.nn.Module):
    def compile(self, *_args: Any, **_kwargs: Any) -> None:
        """Compile nothing, as a model does that opts out."""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (None, "the workload has no `model` that is a torch.nn.Module"),
        (_Broken(), "torch.compile failed, amp-compiled: RuntimeError: no compiler"),
        (_Idle(), "torch.compile found nothing in the model to compile, amp-compiled"),
    ],
)
def test_what_cannot_be_compiled_is_said_and_nothing_is_timed(model: Any, reason: str):
    class Training:
        def __init__(self) -> None:
            self.model = model

        def step(self) -> float:
            return 1.0

    told = _Told()
    time_compiled(unit(), lambda _amp: Training(), (pause(0), pause(0)), "cpu", told)  # type: ignore[arg-type]
    assert told.items == [NotMeasured(what="compile-speedup", reason=reason)]
