"""Whether measured figures meet what is required, and where that cannot be said, why not."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.benchmark.figures import Figure

LEAST_CONFIDENCE = 0.9  # of an interval that decides; five paired samples have 93.75 %
MOST_SKIPPED = 0.1  # of the timed steps; a skipped step does less work than one that trains


class RequirementStatus(enum.StrEnum):
    """MET and MISSED are shown by the figure; INCONCLUSIVE: the interval lies on both sides; DEFERRED: not here."""

    MET = "met"
    MISSED = "missed"
    INCONCLUSIVE = "inconclusive"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What AMP has to bring; None asks for nothing. The defaults are those of task T035.

    Args:
        speedup: FP32's time for a step over AMP's, at least.
        memory_reduction: share of the activations kept for backward that AMP saves, at least; 0.4 is 40 %.
        accuracy_difference: of validation accuracy as a share from 0 to 1, in either direction, below this.

    Raises:
        ValueError: a requirement that every or no measurement can meet.
    """

    speedup: float | None = 1.5
    memory_reduction: float | None = 0.4
    accuracy_difference: float | None = 0.01

    def __post_init__(self) -> None:
        if self.speedup is not None and not (math.isfinite(self.speedup) and self.speedup > 0):
            raise ValueError(f"speedup must be a positive finite number, not {self.speedup!r}")
        if self.memory_reduction is not None and not 0 < self.memory_reduction < 1:
            raise ValueError(f"memory_reduction is a share between 0 and 1, not {self.memory_reduction!r}; 40 % is 0.4")
        if self.accuracy_difference is not None and not 0 < self.accuracy_difference <= 1:
            raise ValueError(f"accuracy_difference is a share between 0 and 1, not {self.accuracy_difference!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement, judged. `evidence` is the figure, or the reason for which it decides nothing."""

    name: str
    wanted: str
    status: RequirementStatus
    evidence: str


def judge(
    requirements: Requirements,
    *,
    speedup: Figure,
    memory_reduction: Figure,
    accuracy_difference: Figure | None,
    not_native: str | None,
    skipped: float,
    no_accuracy: str,
) -> tuple[Requirement, ...]:
    """Judge each requirement that is asked for.

    Args:
        not_native: why the speed of this device says nothing about the format; None where it computes in it.
        skipped: share of the timed AMP steps that the loss scaler skipped.
        no_accuracy: why there is no accuracy, where there is none.
    """
    judged = []
    if (least := requirements.speedup) is not None:
        judged.append(_speedup(speedup, least, not_native, skipped))
    if (share := requirements.memory_reduction) is not None:
        status = RequirementStatus.MET if memory_reduction.value >= share else RequirementStatus.MISSED
        judged.append(_requirement("memory_reduction", f">= {share:.0%}", status, memory_reduction.as_text()))
    if (below := requirements.accuracy_difference) is not None:
        judged.append(_accuracy(accuracy_difference, below, no_accuracy))
    return tuple(judged)


def _requirement(name: str, wanted: str, status: RequirementStatus, evidence: str) -> Requirement:
    return Requirement(name=name, wanted=wanted, status=status, evidence=evidence)


def _speedup(figure: Figure, least: float, not_native: str | None, skipped: float) -> Requirement:
    name, wanted, seen = "speedup", f">= {least:g}", figure.as_text()
    if not_native is not None:
        return _requirement(name, wanted, RequirementStatus.DEFERRED, f"{not_native}; measured all the same: {seen}")
    if skipped > MOST_SKIPPED:
        reason = f"the loss scaler skipped {skipped:.0%} of the timed steps, which are cheaper than steps that train"
        return _requirement(name, wanted, RequirementStatus.INCONCLUSIVE, f"{reason}; {seen}")
    return _requirement(name, wanted, _side(figure, figure.low >= least, figure.high < least), seen)


def _accuracy(figure: Figure | None, below: float, no_accuracy: str) -> Requirement:
    name, wanted = "accuracy_difference", f"< {below:g}"
    if figure is None:
        return _requirement(name, wanted, RequirementStatus.DEFERRED, no_accuracy)
    inside = -below < figure.low and figure.high < below
    outside = figure.low >= below or figure.high <= -below
    return _requirement(name, wanted, _side(figure, inside, outside), figure.as_text())


def _side(figure: Figure, met: bool, missed: bool) -> RequirementStatus:
    if figure.confidence < LEAST_CONFIDENCE or not (met or missed):
        return RequirementStatus.INCONCLUSIVE
    return RequirementStatus.MET if met else RequirementStatus.MISSED
