"""Decides how a figure of a profile is written: three digits, its interval, and never a share above 1. No torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.calibration.schema import Interval

NONE = "-"
ABOVE = "above peak!"


def figure(value: float | None) -> str:
    """Write a figure with three significant digits, thousands grouped; `-` for None."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    if digits > 6:
        return f"{value:.2e}"
    return f"{value:,.{digits}f}" if digits else f"{_rounded(value):,.0f}"


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def spread(interval: Interval | None) -> str:
    """Write an interval as `[low, high]`; empty where none was measured."""
    return "" if interval is None else f"[{figure(interval.low)}, {figure(interval.high)}]"


def with_spread(value: float | None, interval: Interval | None) -> str:
    """Write a figure and, behind it, its interval."""
    return " ".join(part for part in (figure(value), spread(interval)) if part)


def share(efficiency: float | None, flag: str | None, *, upper_bound: bool | None) -> str:
    """Write a share of a peak in percent: `>=` where the peak is an upper bound, a warning where it cannot be true."""
    if flag is not None or (efficiency is not None and efficiency > 1):
        return ABOVE
    if efficiency is None:
        return NONE
    percent = 100 * efficiency
    shown = f"{percent:.0f}" if percent >= 9.95 else f"{percent:.2g}"
    return f"{'>= ' if upper_bound else ''}{shown} %"


def times(factor: float | None) -> str:
    """Write a ratio of speeds as `1.25x`."""
    return NONE if factor is None else f"{factor:.2f}x" if factor < 99.5 else f"{factor:.0f}x"
