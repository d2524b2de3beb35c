"""A measured number that carries how it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.benchmark.intervals import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its interval.

    Args:
        low, high: the interval; both are `value` for a figure that is counted and not sampled.
        confidence: that the interval holds the true value; 1 for a counted figure.
        samples: how many measurements it rests on.
        unit: "x" for a ratio, "share" for a part of 1, "nats".
        method: how it was measured and estimated.
        device: on which.
        dtype: the low-precision format compared with float32.
    """

    value: float
    low: float
    high: float
    confidence: float
    samples: int
    unit: str
    method: str
    device: str
    dtype: str

    def as_text(self) -> str:
        """Put the figure, its interval and its basis in one phrase."""
        where = f"{self.dtype} on {self.device}"
        if self.low == self.high and self.confidence == 1:
            return f"{self.value:.4g} {self.unit}, exact, {where}"
        interval = f"{self.confidence:.1%} interval {self.low:.4g} to {self.high:.4g}, {self.samples} samples"
        return f"{self.value:.4g} {self.unit} ({interval}), {where}"


def sampled(estimate: Estimate, *, unit: str, method: str, device: str, dtype: str) -> Figure:
    """Make a figure of an estimate."""
    return Figure(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        confidence=estimate.confidence,
        samples=estimate.samples,
        unit=unit,
        method=method,
        device=device,
        dtype=dtype,
    )


def counted(value: float, *, unit: str, method: str, device: str, dtype: str) -> Figure:
    """Make a figure of a number that has no spread."""
    return Figure(
        value=value,
        low=value,
        high=value,
        confidence=1.0,
        samples=1,
        unit=unit,
        method=method,
        device=device,
        dtype=dtype,
    )
