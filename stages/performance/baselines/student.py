"""Student's t distribution, as far as a few runs need it. Standard library only."""

from __future__ import annotations

import functools
import math

_TINY = 1e-300
_STEPS = 300


def upper_tail(t: float, freedom: float) -> float:
    """Return the probability that a t variable exceeds `t`.

    By the regularised incomplete beta function (Abramowitz and Stegun, 26.5.27 and 26.5.8, by Lentz's method).

    Raises:
        ValueError: degrees of freedom that are not positive, or a number that is NaN.
    """
    if not freedom > 0 or math.isnan(t):
        raise ValueError(f"t = {t!r} with {freedom!r} degrees of freedom has no probability")
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    tail = _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return tail if t >= 0 else 1 - tail


@functools.lru_cache(maxsize=256)
def quantile(probability: float, freedom: float) -> float:
    """Return the t below which a variable lies with this probability.

    Raises:
        ValueError: a probability outside 0 to 1.
    """
    if not 0 < probability < 1:
        raise ValueError(f"a probability lies between 0 and 1, not at {probability!r}")
    if probability < 0.5:
        return -quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while upper_tail(high, freedom) > 1 - probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if upper_tail(middle, freedom) > 1 - probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function from the front."""
    upper, lower = 1.0, 1 - (a + b) * x / (a + 1)
    lower = 1 / (lower if abs(lower) > _TINY else _TINY)
    value = lower
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            lower = 1 + term * lower
            lower = 1 / (lower if abs(lower) > _TINY else _TINY)
            upper = 1 + term / upper
            upper = upper if abs(upper) > _TINY else _TINY
            change = upper * lower
            value *= change
        if abs(change - 1) < 1e-14:
            break
    return value
