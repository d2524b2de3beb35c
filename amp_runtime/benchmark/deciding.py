"""What an interval says of a threshold: met, missed, or neither yet. Standard library only."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .intervals import Estimate


class Outcome(enum.StrEnum):
    """PASS and FAIL are shown by the interval; INCONCLUSIVE: more samples, or a calmer machine, would be needed."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Rule(Protocol):
    """What is asked of the ratio of the second program's time to the first's."""

    def __call__(self, estimate: Estimate) -> Outcome: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMost:
    """The ratio must lie at or below a limit. FP32's speedup under AMP of 1.5 is a ratio of at most 1 / 1.5.

    Raises:
        ValueError: a limit that no ratio of times can have.
    """

    limit: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"limit must be a positive finite ratio, not {self.limit!r}")

    def __call__(self, estimate: Estimate) -> Outcome:
        if estimate.high <= self.limit:
            return Outcome.PASS
        return Outcome.FAIL if estimate.low > self.limit else Outcome.INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSlower:
    """The second program must not be slower than the first by a share that matters.

    It is a regression only where both hold: the interval lies above `1 + floor` (it is slower for certain, and by more
    than two copies of one program may be), and the estimate reaches `1 + least` (it matters). It is none where the
    interval ends below `1 + least`. So a difference that does not matter is never called a regression because many
    samples made it significant.

    Args:
        least: the smallest slowdown that matters, as a share; 0.05 is 5 %.
        floor: by which two copies of one program may differ, as a share: their memory lies elsewhere, which no number
            of samples averages out (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong",
            ASPLOS 2009; Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).

    Raises:
        ValueError: shares with which nothing can be decided.
    """

    least: float = 0.05
    floor: float = 0.02

    def __post_init__(self) -> None:
        if not (math.isfinite(self.least) and self.least > 0):
            raise ValueError(f"least must be a positive finite share, not {self.least!r}")
        if not 0 <= self.floor < self.least:
            raise ValueError(f"floor must lie between 0 and least ({self.least:g}), not {self.floor!r}")

    def __call__(self, estimate: Estimate) -> Outcome:
        matters = 1 + self.least
        if estimate.high < matters:
            return Outcome.PASS
        certain = estimate.low > 1 + self.floor
        return Outcome.FAIL if certain and estimate.value >= matters else Outcome.INCONCLUSIVE
