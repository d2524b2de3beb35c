"""Time two modes of a workload against each other, and report the raw series with its interval."""

from __future__ import annotations

import contextlib
import math
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..benchmark import intervals, sequential
from ..benchmark.deciding import AtMost, Outcome
from ..benchmark.pairing import Pairing, time_in_pairs
from ..wire import Timed
from .factories import settle_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..benchmark.deciding import Rule
    from ..benchmark.intervals import Estimate
    from ..wire import MeasureUnit, Mode

_WARM_UP = 1  # call of each: the step has run before, for its memory and its work
_FEW = Pairing(blocks=4, steps=1, lead_in=0, warm_up=1)  # which say a time, and decide nothing
_WIDTH = 1.1  # of an interval that needs to answer no question: its upper end over its lower


def time_modes(
    modes: tuple[Mode, Mode],
    steps: tuple[Callable[[], object], Callable[[], object]],
    gain: float | None,
    unit: MeasureUnit,
    device: str,
) -> Timed:
    """Compare the time of a step.

    Args:
        gain: what the first one's time over the second's has to be; None: a narrow interval is all that is asked for.
    """
    rule: Rule = _narrow if gain is None else AtMost(limit=1 / gain)
    budget_s = unit.brief_s if gain is None else unit.budget_s
    plan = sequential.Plan(budget_s=budget_s, seed=unit.seed, warm_up=_WARM_UP)
    trained, settle = _Trained(steps[1]), settle_on(device)
    with trained.watching():
        on_host = device.startswith("cpu")
        found = sequential.compare_until(steps[0], trained, rule, plan, settle, on_host=on_host)
        if len(found.blocks) < _FEW.blocks:  # the budget is shorter than a few steps
            found = replace(found, blocks=time_in_pairs(steps[0], trained, _FEW, settle), calls=_FEW.steps)
    ratio = found.ratio or sequential.ratio_of(found.blocks, 0.95)
    noise = found.noise
    figures = {
        "spread": noise.spread,
        "autocorrelation": noise.autocorrelation,
        "drift": noise.drift,
        "others": noise.others,
        "throttled": noise.throttled,
    }
    return Timed(
        first=modes[0],
        second=modes[1],
        first_s=tuple(block.first_own_s for block in found.blocks),
        second_s=tuple(block.second_own_s for block in found.blocks),
        second_led=tuple(block.second_led for block in found.blocks),
        calls=found.calls,
        ratio=ratio.value,
        low=ratio.low,
        high=ratio.high,
        confidence=ratio.confidence,
        outcome=found.outcome.value,
        looks=found.looks,
        elapsed_s=found.elapsed_s,
        method=sequential.METHOD if found.ratio else f"pairs in random order, {intervals.METHOD}",
        reason=found.reason,
        skipped=trained.skipped(),
        noise={name: float(value) for name, value in figures.items() if value is not None and math.isfinite(value)},
        warnings=noise.warnings,
    )


def wanted_on(device: str, gains: dict[str, float]) -> float | None:
    """Return the gain that is asked for on a device, None where none is."""
    return gains.get(device.partition(":")[0], gains.get("any"))


def _narrow(estimate: Estimate) -> Outcome:
    """Let sampling go on until the interval says the ratio to about 5 %."""
    return Outcome.PASS if estimate.high <= estimate.low * _WIDTH else Outcome.INCONCLUSIVE


class _Trained:
    """A step, and for each call whether an optimizer ran in it."""

    def __init__(self, step: Callable[[], object]) -> None:
        self._step = step
        self._calls = 0
        self._with = 0
        self._seen = False
        self._watched = False

    def __call__(self) -> None:
        self._seen = False
        self._step()
        self._calls += 1
        self._with += self._seen

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        if sys.modules.get("torch") is None:
            yield
            return
        from torch.optim.optimizer import register_optimizer_step_pre_hook  # noqa: PLC0415

        handle = register_optimizer_step_pre_hook(self._note)
        self._watched = True
        try:
            yield
        finally:
            handle.remove()

    def _note(self, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        self._seen = True

    def skipped(self) -> float:
        """Return the share of the calls in which none did; 0 where no optimizer of torch is at work at all."""
        if not self._watched or not self._with:
            return 0.0
        return 1 - self._with / self._calls
