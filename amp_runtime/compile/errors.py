"""What the errors of eager and compiled against float64 look like over several disturbances: figures, no verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .running import Seen

_LOOKED_AT = 4096  # elements of a tensor whose errors are kept over all samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The part of an error that is the same in every sample.

    Args:
        size: its root mean square, without what chance leaves in a mean; 0 where that is all there is.
        strength: mean square of the mean error over what independent errors of this size give: about 1 for rounding.
        freedom: how many directions the errors spread over, at most the number of samples less one.
    """

    size: float
    strength: float
    freedom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFigures:
    """Errors of one tensor. Each `rmse` is over all elements, in the tensor's own unit.

    Args:
        rmse_eager: over all samples. rmse_compiled: the median sample's.
        rms: of the float64 values.
        largest_eager: absolute error of any element in any sample.
        lasting_compiled: the largest error that an element has in every sample.
        cosine_eager, cosine_compiled: to the float64 values; NaN where either is zero.
        difference: largest absolute difference of compiled and eager.
        wrong: samples in which compiled is not finite, or another integer more often than eager ever is.
    """

    samples: int
    elements: int
    rms: float
    rmse_eager: float
    rmse_compiled: float
    largest_eager: float
    lasting_compiled: float
    cosine_eager: float
    cosine_compiled: float
    difference: float
    drift_eager: Drift
    drift_compiled: Drift
    wrong: int


class Errors:
    """Takes the values of one tensor, sample by sample."""

    def __init__(self) -> None:
        self._eager: list[float] = []
        self._compiled: list[float] = []
        self._exact: list[float] = []
        self._rows: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        self._products = [0.0] * 4  # of float64 with eager and compiled, of each with itself
        self._largest = self._difference = 0.0
        self._lasting: torch.Tensor | None = None
        self._unsure: list[int] = []
        self._bad: list[int] = []
        self._elements = 0

    def add(self, exact: torch.Tensor, eager: torch.Tensor, compiled: torch.Tensor) -> None:
        """Take one sample; flat tensors of one length, float64 or int64."""
        self._elements = exact.numel()
        finite = torch.isfinite(eager) & torch.isfinite(exact)
        if eager.dtype is torch.int64:
            self._unsure.append(int((eager != exact).sum()))
            self._bad.append(int((compiled != exact).sum()))
        else:
            self._bad.append(int((finite & ~torch.isfinite(compiled)).sum()))
        self._take(exact.double(), eager.double(), compiled.double(), finite & torch.isfinite(compiled))

    def _take(self, exact: torch.Tensor, eager: torch.Tensor, compiled: torch.Tensor, used: torch.Tensor) -> None:
        exact, eager, compiled = (torch.where(used, values, 0.0) for values in (exact, eager, compiled))
        first, second = eager - exact, compiled - exact
        self._exact.append(_mean_square(exact))
        self._eager.append(_mean_square(first))
        self._compiled.append(_mean_square(second))
        products = (exact @ eager, exact @ compiled, eager @ eager, compiled @ compiled)
        self._products = [a + float(b) for a, b in zip(self._products, products, strict=True)]
        if not self._elements:
            return
        self._largest = max(self._largest, float(first.abs().max()))
        self._difference = max(self._difference, float((compiled - eager).abs().max()))
        lasting = second.abs()
        self._lasting = lasting if self._lasting is None else torch.minimum(self._lasting, lasting)
        stride = max(1, math.ceil(self._elements / _LOOKED_AT))
        self._rows[0].append(first[::stride].clone())
        self._rows[1].append(second[::stride].clone())

    def figures(self) -> ErrorFigures:
        exact = sum(self._exact)
        with_eager, with_compiled, eager, compiled = self._products
        own = exact * self._elements
        return ErrorFigures(
            samples=len(self._eager),
            elements=self._elements,
            rms=math.sqrt(exact / len(self._exact)),
            rmse_eager=math.sqrt(sum(self._eager) / len(self._eager)),
            rmse_compiled=math.sqrt(_upper_median(self._compiled)),
            largest_eager=self._largest,
            lasting_compiled=0.0 if self._lasting is None else float(self._lasting.max()),
            cosine_eager=_cosine(with_eager, own, eager),
            cosine_compiled=_cosine(with_compiled, own, compiled),
            difference=self._difference,
            drift_eager=_drift(self._rows[0]),
            drift_compiled=_drift(self._rows[1]),
            wrong=sum(count > max(self._unsure, default=0) for count in self._bad),
        )


def comparable(exact: Seen, eager: Seen, compiled: Seen) -> str:
    """Return why the values of the three cannot be compared at all; empty where they can."""
    if eager.dtype is None or compiled.dtype is None:
        return "" if eager.dtype is compiled.dtype else _absent(eager, compiled)
    if eager.dtype is not compiled.dtype:
        return f"compiled it is {compiled.dtype}, eager {eager.dtype}"
    if eager.shape != compiled.shape:
        return f"compiled its shape is {compiled.shape}, eager {eager.shape}"
    if exact.shape != eager.shape or exact.values is None:
        return f"in float64 its shape is {exact.shape}, eager {eager.shape}"
    return ""


def _absent(eager: Seen, compiled: Seen) -> str:
    there = compiled if eager.dtype is None else eager
    if there.values is not None and not bool(there.values.any()):
        return ""  # zeros for None: optimizers with momentum see a difference, results do not
    return (
        "compiled there is none, eager there is" if compiled.dtype is None else "eager there is none, compiled there is"
    )


def _drift(rows: list[torch.Tensor]) -> Drift:
    """Estimate what the errors of all samples have in common.

    The square of the mean error holds, beside the common part, 1/K of the variance, which is taken off. `strength` is
    the F-statistic of "there is no common part"; `freedom` is its numerator's degrees of freedom by the participation
    ratio of the errors' covariance (Box, "Some theorems on quadratic forms", Ann. Math. Stat. 25, 1954).
    """
    if not rows or not rows[0].numel():
        return Drift(size=0.0, strength=0.0, freedom=1.0)
    errors = torch.stack(rows)
    count = errors.shape[0]
    mean = errors.mean(0)
    centred = errors - mean
    gram = centred @ centred.t()
    variance = float(gram.trace()) / (count - 1) / errors.shape[1]
    common = _mean_square(mean)
    spread = float((gram * gram).sum())
    freedom = min(count - 1.0, max(1.0, float(gram.trace()) ** 2 / spread)) if spread else 1.0
    strength = count * common / variance if variance else math.inf if common else 0.0
    return Drift(size=math.sqrt(max(0.0, common - variance / count)), strength=strength, freedom=freedom)


def _mean_square(values: torch.Tensor) -> float:
    return float(values @ values) / values.numel() if values.numel() else 0.0


def _cosine(product: float, one: float, other: float) -> float:
    return product / math.sqrt(one * other) if one and other else math.nan


def _upper_median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
