"""What single samples say: their median, and an interval that holds for skewed timings too. Standard library only."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from amp_runtime.benchmark.intervals import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

METHOD = "median, exact sign-test interval"


def middle(samples: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Estimate the median of any distribution; the interval lies between two of the samples.

    It inverts the sign test (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", 3rd ed., section 3.6):
    as many samples lie below the median as heads fall in as many tosses. With too few samples for the wanted confidence
    (fewer than 6 for 95 %) it is their whole range, and `Estimate.confidence` is what that range has.

    Raises:
        ValueError: no samples, one that is not finite, or a confidence outside 0 to 1.
    """
    if not samples or not all(map(math.isfinite, samples)):
        raise ValueError(f"a median needs finite samples, not {list(samples)}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence!r}")
    ordered, outcomes = sorted(samples), 2 ** len(samples)
    cut, tail = 0, 1  # samples left out at each end, and outcomes with at most so many heads
    while 2 * (longer := tail + math.comb(len(samples), cut + 1)) <= (1 - confidence) * outcomes:
        cut, tail = cut + 1, longer
    return Estimate(
        value=statistics.median(ordered),
        low=ordered[cut],
        high=ordered[-1 - cut],
        confidence=max(0.0, 1 - 2 * tail / outcomes),
        samples=len(samples),
    )
