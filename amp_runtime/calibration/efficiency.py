"""Decides what a share of a theoretical peak is worth: above 1 it is no efficiency, but a wrong preset or clock."""

from __future__ import annotations


def efficiency_of(measured: float | None, peak: float | None) -> tuple[float | None, str | None]:
    """Return the share of a theoretical peak (0 to 1), and None; or None, and a sentence why it cannot be a share.

    Both are None where either figure is unknown.
    """
    if measured is None or not peak:
        return None, None
    return (None, above_peak(measured / peak)) if measured > peak else (measured / peak, None)


def above_peak(ratio: float) -> str:
    """Say what is wrong where `ratio` times a peak was measured."""
    return f"above the stated peak ({ratio:.3g} times), which cannot be: wrong preset, or another clock than it assumes"
