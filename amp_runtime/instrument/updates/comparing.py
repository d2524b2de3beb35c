"""Decide whether a training under AMP updates its parameters as FP32 does, within what rounding alone would change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from ..records import Difference, UpdatesCompared

if TYPE_CHECKING:
    from .recording import Effective, Recording

FACTOR = 4.0  # how many times the largest difference of the disturbed runs is still rounding
_FEW = 64  # elements below which the direction of a tensor's gradient may turn by chance
_MOST_TENSORS = 20


def compare(fp32: Recording, amp: Recording, disturbed: Sequence[Recording], roundoff: float) -> UpdatesCompared:
    """Compare two recordings of the same data, effective step by effective step.

    For each optimizer, and for each tensor of more than a few elements, two figures say how the gradient that the
    optimizer received differs: the angle between both, and the ratio of their lengths. What is allowed is `FACTOR`
    times the most by which FP32 runs disturbed by rounding noise differ from the undisturbed one, so a tensor whose
    gradient is nothing but rounding (a bias before a normalisation) may turn as it likes. One tensor counts as
    different when it is so in at least half of the steps.

    Args:
        disturbed: FP32 runs under `RoundingNoise`.
        roundoff: of the low precision, relative.
    """
    length = min(len(fp32.steps), len(amp.steps), *(len(one.steps) for one in disturbed))
    whole: list[Difference] = []
    parts: dict[tuple[int, int], list[Difference]] = {}
    for number in range(length):
        left, right = fp32.steps[number], amp.steps[number]
        others = [one.steps[number] for one in disturbed]
        if left.optimizer != right.optimizer:
            return UpdatesCompared(
                steps=number, runs=len(disturbed), holds=False, reason="the optimizers step in another order"
            )
        whole.append(_difference(number, left, right, others, None, roundoff))
        for place, gradient in enumerate(left.gradients):
            if gradient is not None and gradient.numel() >= _FEW and right.gradients[place] is not None:
                found = _difference(number, left, right, others, place, roundoff)
                parts.setdefault((left.optimizer, place), []).append(found)
    if not length:
        return UpdatesCompared(steps=0, runs=len(disturbed), holds=False, reason="no optimizer step took effect")
    tensors = [_worst(found) for found in parts.values() if 2 * sum(not one.holds for one in found) >= len(found)]
    bad = [one for one in whole if not one.holds]
    return UpdatesCompared(
        steps=length,
        runs=len(disturbed),
        holds=not bad and not any(not one.holds for one in tensors),
        whole=tuple(whole),
        tensors=tuple(sorted((one for one in tensors if not one.holds), key=_excess, reverse=True)[:_MOST_TENSORS]),
    )


def _worst(found: list[Difference]) -> Difference:
    return max(found, key=_excess)


def _excess(one: Difference) -> float:
    """Return by how many times a difference is larger than allowed."""
    parts = [one.angle / one.angle_allowed, abs(math.log(one.ratio)) / one.ratio_allowed if one.ratio > 0 else math.inf]
    return math.inf if any(math.isnan(part) for part in parts) else max(parts)


def _difference(
    number: int, left: Effective, right: Effective, others: list[Effective], place: int | None, roundoff: float
) -> Difference:
    base = _vector(left, place)
    angle, ratio = _between(base, _vector(right, place))
    seen = [_between(base, _vector(one, place)) for one in others]
    angle_allowed = FACTOR * max([roundoff, *(one for one, _ratio in seen)])
    ratio_allowed = FACTOR * max([roundoff, *(abs(math.log(one)) for _angle, one in seen if one > 0)])
    update_angle, update_ratio = _between(_update(left, place), _update(right, place))
    within = angle <= angle_allowed and ratio > 0 and abs(math.log(ratio)) <= ratio_allowed
    return Difference(
        step=number + 1,
        optimizer=left.optimizer,
        tensor=place,
        elements=base.numel(),
        angle=angle,
        angle_allowed=angle_allowed,
        ratio=ratio,
        ratio_allowed=ratio_allowed,
        update_angle=update_angle,
        update_ratio=update_ratio,
        holds=within,
    )


def _vector(step: Effective, place: int | None) -> torch.Tensor:
    if place is not None:
        gradient = step.gradients[place]
        return torch.zeros_like(step.updates[place]) if gradient is None else gradient
    return torch.cat([_vector(step, one) for one in range(len(step.gradients))])


def _update(step: Effective, place: int | None) -> torch.Tensor:
    return step.updates[place] if place is not None else torch.cat(step.updates)


def _between(left: torch.Tensor, right: torch.Tensor) -> tuple[float, float]:
    """Return the angle in radians and the ratio of lengths; without a length on one side, a right angle and 0."""
    first, second = left.double(), right.double()
    lengths = float(first.norm()), float(second.norm())
    if lengths[0] == 0.0 and lengths[1] == 0.0:
        return 0.0, 1.0
    if not all(math.isfinite(length) and length > 0 for length in lengths):
        return math.pi / 2, 0.0
    # the half-angle form is exact for small angles, where an arc cosine is not (Kahan, "How futile are mindless
    # assessments of roundoff", 2006, section 12)
    one, other = first / lengths[0], second / lengths[1]
    return 2 * math.atan2(float((one - other).norm()), float((one + other).norm())), lengths[1] / lengths[0]
