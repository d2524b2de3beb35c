"""Whether a compiled tensor is as right as rounding lets it be. docs/compile.md derives the rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import Drift, ErrorFigures

_RARE = 4.265  # normal quantile of 1 - 1e-5: one honest validation judges some hundred tensors
MULTIPLIER = 2.0  # of the eager error: as torch._dynamo.utils.same, for other orders of summation and fused rounding
DRIFT_SHARE = 0.5  # of the eager error: a common part smaller than that is of no consequence beside rounding
LASTING = 2.0  # of the largest eager error
_SINGLE = 2.0**-24  # unit roundoff of float32; what is rounded to 16 bits shows that in the errors of eager already
_LAST_BITS = 4.0  # units of roundoff that count as no error at all


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorComparison:
    """One tensor, compiled and eager against float64, and why it is wrong; `reason` is empty where it is right."""

    name: str
    kind: str
    figures: ErrorFigures | None
    reason: str = ""

    @property
    def holds(self) -> bool:
        return not self.reason

    @property
    def rmse_ratio(self) -> float:
        """Error of compiled over that of eager; 1 where neither has one, NaN where nothing was compared."""
        if self.figures is None:
            return math.nan
        eager, compiled = self.figures.rmse_eager, self.figures.rmse_compiled
        if eager:
            return compiled / eager
        return math.inf if compiled else 1.0


def verdict(figures: ErrorFigures, own_roundoff: float, scale: float) -> str:
    """Return what is wrong with a compiled tensor; empty where its errors are those of rounding.

    Args:
        own_roundoff: of the tensor's dtype.
        scale: largest root mean square of the tensors of its kind: sums that cancel leave noise of that size.
    """
    if 2 * figures.wrong > figures.samples:
        return "it is not finite, or another integer, where eager is right"
    floor = _LAST_BITS * max(min(own_roundoff, _SINGLE) * figures.rms, _SINGLE * scale)
    allowed = floor + figures.rmse_eager * MULTIPLIER * _chance(figures)
    if figures.rmse_compiled > allowed:
        return _too_large(figures)
    drift, own = figures.drift_compiled, figures.drift_eager
    common = floor + DRIFT_SHARE * figures.rmse_eager + MULTIPLIER * own.size * _is_real(own, figures.samples)
    if drift.size > common and _is_real(drift, figures.samples):
        return (
            f"in all {figures.samples} samples it has the same error, {drift.size:.3g} (RMS), which rounding has not: "
            f"eager's whole error is {figures.rmse_eager:.3g}"
        )
    if figures.lasting_compiled > LASTING * figures.largest_eager + floor:
        return (
            f"one of its elements is off by {figures.lasting_compiled:.3g} or more in every sample, "
            f"and no element of eager ever by more than {figures.largest_eager:.3g}"
        )
    return ""


def _too_large(figures: ErrorFigures) -> str:
    ratio = f"{figures.rmse_compiled / figures.rmse_eager:.3g} times " if figures.rmse_eager else "not "
    return f"its error against float64 is {figures.rmse_compiled:.3g} (RMS), {ratio}eager's {figures.rmse_eager:.3g}"


def _chance(figures: ErrorFigures) -> float:
    """Return by how much the error of one run may exceed that of another by chance.

    Fisher's z, half the logarithm of a ratio of two mean squares, is about normal with variance 1/(f - 1) for f degrees
    of freedom each (R. A. Fisher, "On a distribution yielding the error functions of several well known statistics",
    1924). The errors of a sample may all hang on one number, so f is what the samples show, and not the elements.
    """
    freedom = figures.samples * min(figures.drift_eager.freedom, figures.drift_compiled.freedom)
    return math.exp(_RARE / math.sqrt(freedom - 1))


def _is_real(drift: Drift, samples: int) -> bool:
    """Say whether a common part is more than chance makes of independent errors."""
    return drift.strength > _critical(drift, samples)


def _critical(drift: Drift, samples: int) -> float:
    """Return the F quantile, infinite where there are too few samples for one.

    By the approximation of E. Paulson, "An approximate normalization of the analysis of variance distribution", Annals
    of Mathematical Statistics 13, 1942.
    """
    one, other = 2 / (9 * drift.freedom), 2 / (9 * drift.freedom * (samples - 1))
    root = (1 - other) ** 2 - other * _RARE**2
    if root <= 0:
        return math.inf
    spread = (1 - one) ** 2 * other + (1 - other) ** 2 * one - one * other * _RARE**2
    return float((((1 - one) * (1 - other) + _RARE * math.sqrt(max(0.0, spread))) / root) ** 3)
