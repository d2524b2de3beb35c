"""Decide from two loss curves whether training learns, and whether AMP trains like FP32. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_DECREASE = 0.05  # of the first losses' size
TOLERANCE_OF_DROP = 0.10  # of what FP32 learned in these steps
TOLERANCE_FLOOR = 0.01  # of the first losses' size: what rounding may do where little was learned
MEASURE = "difference of the mean loss over the last quarter of the steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrease:
    """The mean of the first losses, of the last ones, and how many each mean rests on."""

    first: float
    last: float
    samples: int

    @property
    def enough(self) -> bool:
        return self.first - self.last > LEAST_DECREASE * abs(self.first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far AMP's losses end from those of FP32, and how far they may."""

    value: float
    tolerance: float
    samples: int

    @property
    def holds(self) -> bool:
        return self.value <= self.tolerance


def decrease(losses: Sequence[float]) -> Decrease:
    """Compare the first losses with the last: five each, fewer where there are not twenty."""
    count = max(1, min(5, len(losses) // 4))
    return Decrease(first=_mean(losses[:count]), last=_mean(losses[-count:]), samples=count)


def agreement(fp32: Sequence[float], amp: Sequence[float]) -> Agreement:
    """Compare two runs of equal length from the same seed."""
    count = max(1, len(fp32) // 4)
    start, end = decrease(fp32).first, _mean(fp32[-count:])
    return Agreement(
        value=abs(_mean(amp[-count:]) - end),
        tolerance=TOLERANCE_OF_DROP * max(0.0, start - end) + TOLERANCE_FLOOR * abs(start),
        samples=count,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
