"""A measured number with its interval, and what it says of a bound."""

from __future__ import annotations

import enum
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifier.api import Bound, Json

LEAST_CONFIDENCE = 0.9  # of an interval that decides; five paired samples have 93.75 %
MEDIAN = "median, interval of order statistics (exact, no assumption on the distribution)"
_DIGITS = 4


class Side(enum.Enum):
    """Where an interval lies."""

    MET = "met"
    MISSED = "missed"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number, its interval, and how it came about; an exact one has an interval of no width and confidence 1."""

    value: float
    low: float
    high: float
    confidence: float
    samples: int
    unit: str
    method: str

    def text(self) -> str:
        shown = self._shown(self.value)
        if self.confidence == 1 and self.low == self.high:
            return f"{shown}, exact"
        interval = f"{self._shown(self.low)} to {self._shown(self.high)}"
        return f"{shown} ({self.confidence:.1%} interval {interval}, {self.samples} samples)"

    def _shown(self, value: float) -> str:
        if self.unit == "share":
            return f"{100 * value:.{_DIGITS - 1}g} %"
        return f"{value:.{_DIGITS}g}{'x' if self.unit == 'x' else f' {self.unit}'}"

    def fact(self, device: str, dtype: str | None) -> dict[str, Json]:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "samples": self.samples,
            "unit": self.unit,
            "method": self.method,
            "device": device,
            "dtype": dtype,
        }

    def side(self, bound: Bound) -> Side:
        """Say on which side of a bound the whole interval lies."""
        return self._judged(bound.holds(self.low), bound.holds(self.high))

    def side_of_size(self, bound: Bound) -> Side:
        """Say the same of its size, whichever its sign: a difference may go in either direction."""
        nearest = 0.0 if self.low <= 0 <= self.high else min(abs(self.low), abs(self.high))
        return self._judged(bound.holds(nearest), bound.holds(max(abs(self.low), abs(self.high))))

    def _judged(self, one: bool, other: bool) -> Side:
        if self.confidence < LEAST_CONFIDENCE or one is not other:
            return Side.UNCLEAR
        return Side.MET if one else Side.MISSED


def exact(value: float, *, unit: str, method: str) -> Figure:
    """Make a figure of a number that has no spread."""
    return Figure(value=value, low=value, high=value, confidence=1.0, samples=1, unit=unit, method=method)


def median_of(samples: Sequence[float], *, unit: str, method: str, confidence: float = 0.95) -> Figure | None:
    """Estimate the median; None without samples.

    The interval is that between two order statistics, exact for any distribution (Hahn and Meeker, "Statistical
    Intervals", section 5.2). With too few samples for the confidence it is their range, and says what that has.
    """
    ordered = sorted(samples)
    if not ordered or not all(map(math.isfinite, ordered)):
        return None
    count, cut, tail = len(ordered), 0, 0.5 ** len(ordered)
    while cut + 1 <= (count - 1) // 2:
        longer = tail + math.comb(count, cut + 1) * 0.5**count
        if 2 * longer > 1 - confidence:
            break
        tail, cut = longer, cut + 1
    return Figure(
        value=statistics.median(ordered),
        low=ordered[cut],
        high=ordered[-1 - cut],
        confidence=max(0.0, 1 - 2 * tail),
        samples=count,
        unit=unit,
        method=f"{method}; {MEDIAN}",
    )
