"""Time two programs in random order until an interval clears a threshold or the budget ends. Standard library only.

The method, and why it may be trusted on a machine that others use too:

- The two run in pairs, and a fair coin decides in each who goes first (Bulej et al., "Duet benchmarking", ICPE 2020,
  show what pairing brings on shared machines). If the second program takes `r` times as long as the first under
  whatever conditions both meet, then the logarithms of the pairs' ratios, less log r, have the signs that the coins
  gave them: no assumption on the distribution of the times, on outliers or on autocorrelation enters (Rosenbaum,
  "Hodges-Lehmann point estimates of treatment effect in observational studies", JASA 88, 1993). So the Wilcoxon
  signed-rank interval for r holds, skewed and autocorrelated as timings are.
- The interval is looked at while sampling goes on, at counts that grow by half. Looking often would find a "difference"
  in the end, so each look spends a part of the allowed error and the parts add up to it (Bonferroni's inequality, which
  needs no independence): half of it in proportion to the time that has passed, the rest at the end of the budget (an
  alpha-spending function, Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70, 1983).
  Time does not depend on the coins, so a machine that turns out slower than expected costs samples, not correctness.
- On a CPU, the time is that of the wall clock less what the scheduler says the thread stood ready and others had the
  processor: that is the others' work, and leaving it out narrows the intervals of a busy machine to a half or less.
  What the program itself waits for (files, locks, a device) stays in. Where a device computes meanwhile, nothing is
  left out.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import intervals
from .deciding import Outcome
from .noise import load_now, noise_of
from .pairing import Block, stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .deciding import Rule
    from .intervals import Estimate
    from .noise import Noise

METHOD = (
    "wall time less the wait for a processor, pairs in random order, Hodges-Lehmann estimate of the log ratio, "
    "Wilcoxon signed-rank interval, error divided between the looks"
)
_NEXT_TO_NOTHING = 1e-12  # of error, where the clock stood still between two looks
_GROWTH = 1.5  # of the number of pairs from one look to the next
_LONG_ENOUGH_S = 0.01  # a stretch below this is made of several calls, as clocks and wake-ups cost microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how carefully two programs are compared.

    Args:
        budget_s: seconds after which no new pair begins, warm-up included.
        error: probability that any interval looked at does not hold the true ratio; half of it on either side, so one
            answer is wrong with at most half of it.
        least_pairs: before the first look. At least 12, so that a part of the error can be reached at all.
        most_pairs: after which sampling ends.
        warm_up: calls of both before anything counts.
        seed: of the coins.

    Raises:
        ValueError: a figure with which nothing can be decided.
    """

    budget_s: float = 15.0
    error: float = 0.02
    least_pairs: int = 16
    most_pairs: int = 2000
    warm_up: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.budget_s) and self.budget_s > 0):
            raise ValueError(f"budget_s must be a positive finite number of seconds, not {self.budget_s!r}")
        if not 0 < self.error < 0.5:
            raise ValueError(f"error must lie between 0 and 0.5, not {self.error!r}")
        if self.least_pairs < 12 or self.most_pairs < self.least_pairs:
            raise ValueError("least_pairs must be 12 or more, and most_pairs not below it")
        if self.warm_up < 1:
            raise ValueError(f"warm_up must be at least one call, not {self.warm_up!r}")

    def spent(self, share: float) -> float:
        """Return the part of the error that may have been spent when this share of the budget has passed."""
        return self.error if share >= 1 else self.error / 2 * share


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of comparing two programs.

    Args:
        outcome: what the rule makes of `ratio`.
        ratio: of the second program's time to the first's; None where the budget ended before enough pairs.
        blocks: the raw series in the order of measurement, seconds per call, waits for a processor included.
        calls: of a program in each stretch of a pair.
        looks: counts of pairs at which an interval was made.
        elapsed_s: of the whole comparison.
        noise: what the series and the machine say of each other's calm.
        reason: why it ended.
    """

    outcome: Outcome
    ratio: Estimate | None
    blocks: tuple[Block, ...]
    calls: int
    looks: tuple[int, ...]
    elapsed_s: float
    noise: Noise
    reason: str

    @property
    def first_s(self) -> tuple[float, ...]:
        return tuple(block.first_s for block in self.blocks)

    @property
    def second_s(self) -> tuple[float, ...]:
        return tuple(block.second_s for block in self.blocks)


def compare_until(
    first: Callable[[], object],
    second: Callable[[], object],
    rule: Rule,
    plan: Plan | None = None,
    settle: Callable[[], object] = lambda: None,
    *,
    on_host: bool = True,
) -> Comparison:
    """Compare the time of a call of two programs until `rule` is answered or the budget ends.

    Args:
        on_host: the work is done by the host's processors, so the wait for one is left out of the times.
        settle: waits until the device has done all it was told; called outside of the calls, on both ends of the clock.
    """
    plan = plan or Plan()
    begin, before = time.perf_counter(), load_now()
    sampling = _Sampling(first, second, plan, settle, begin, on_host)
    looked: list[int] = []
    outcome, ratio, spent, due, share = Outcome.INCONCLUSIVE, None, 0.0, float(plan.least_pairs), 0.0
    while outcome is Outcome.INCONCLUSIVE and share < 1:
        sampling.until(math.ceil(due))
        if len(sampling.blocks) < plan.least_pairs:
            break
        looked.append(len(sampling.blocks))
        share = sampling.share()
        ratio = ratio_of(sampling.blocks, 1 - max(plan.spent(share) - spent, _NEXT_TO_NOTHING))
        outcome, spent, due = rule(ratio), plan.spent(share), due * _GROWTH
    blocks = tuple(sampling.blocks)
    return Comparison(
        outcome=outcome,
        ratio=ratio,
        blocks=blocks,
        calls=sampling.calls,
        looks=tuple(looked),
        elapsed_s=time.perf_counter() - begin,
        noise=noise_of(blocks, before, load_now()),
        reason=_reason(outcome, plan, blocks),
    )


def ratio_of(blocks: Sequence[Block], confidence: float) -> Estimate:
    """Estimate the second program's own time as a multiple of the first's, both taken from the same pairs."""
    seconds, firsts = [block.second_own_s for block in blocks], [block.first_own_s for block in blocks]
    return intervals.ratio(seconds, firsts, confidence)


def _reason(outcome: Outcome, plan: Plan, blocks: Sequence[Block]) -> str:
    if len(blocks) < plan.least_pairs:
        return f"only {len(blocks)} pairs in {plan.budget_s:g} s; an interval needs {plan.least_pairs}"
    answers = "does not answer" if outcome is Outcome.INCONCLUSIVE else "answers"
    return f"the interval {answers} after {len(blocks)} pairs"


class _Sampling:
    """The pairs of one comparison, as far as they have been taken."""

    def __init__(
        self,
        first: Callable[[], object],
        second: Callable[[], object],
        plan: Plan,
        settle: Callable[[], object],
        begin: float,
        on_host: bool,
    ) -> None:
        self.blocks: list[Block] = []
        self._programs = (first, second)
        self._plan = plan
        self._settle = settle
        self._on_host = on_host
        self._end = begin + plan.budget_s
        self._coins = random.Random(plan.seed)
        self._call_s = self._warm_up()
        self.calls = max(1, math.ceil(_LONG_ENOUGH_S / max(self._call_s, 1e-9)))

    def _warm_up(self) -> float:
        """Return the seconds of a call, once the first calls have done what only first calls do."""
        seconds = [0.0]
        for _ in range(self._plan.warm_up):
            seconds = [stretch(program, 1, self._settle)[0] for program in self._programs]
            if self.over():
                break
        return sum(seconds) / len(seconds)

    def share(self) -> float:
        """Return how much of the budget has passed, in time or in pairs; 1 at its end."""
        if self.over():
            return 1.0
        left = (self._end - time.perf_counter()) / self._plan.budget_s
        return max(1 - left, len(self.blocks) / self._plan.most_pairs)

    def until(self, count: int) -> None:
        while len(self.blocks) < count and not self.over():
            self.blocks.append(self._pair())

    def over(self) -> bool:
        return time.perf_counter() >= self._end or len(self.blocks) >= self._plan.most_pairs

    def _pair(self) -> Block:
        second_led = self._coins.random() < 0.5
        taken, waited = [0.0, 0.0], [0.0, 0.0]
        for which in (1, 0) if second_led else (0, 1):
            taken[which], waited[which] = stretch(self._programs[which], self.calls, self._settle)
        first_waited_s, second_waited_s = waited if self._on_host else (0.0, 0.0)
        return Block(
            first_s=taken[0],
            second_s=taken[1],
            second_led=second_led,
            first_waited_s=first_waited_s,
            second_waited_s=second_waited_s,
        )
