"""What a forward pass yields: the loss to minimise, and what the metrics count."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A forward pass with its loss.

    Args:
        loss: 0-dim float tensor, the mean over `examples`, with its graph.
        examples: predictions that the loss averages: images, tokens.
        correct: how many of them were right, a 0-dim integer tensor; None where that means nothing.
        parts: named losses that `loss` is made of, 0-dim, unweighted; for reports only.
    """

    loss: torch.Tensor
    examples: int
    correct: torch.Tensor | None = None
    parts: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of_several(
        cls,
        losses: Mapping[str, torch.Tensor],
        weights: Mapping[str, float],
        *,
        examples: int,
        correct: torch.Tensor | None = None,
    ) -> Outcome:
        """Minimise the weighted sum of several 0-dim losses, one backward pass for all of them.

        The sum is taken in float32 or better: a half-precision sum loses the small losses. One backward pass of the
        sum gives the gradients that a pass per loss would add up to, and keeps all of them under one loss scale.

        Raises:
            ValueError: no losses, weights that are not finite or of other names, or a loss that is not one number.
        """
        if not losses or losses.keys() != weights.keys():
            raise ValueError(f"each loss needs a weight: losses {sorted(losses)}, weights {sorted(weights)}")
        for name, weight in weights.items():
            if not math.isfinite(weight):
                raise ValueError(f"the weight of loss {name!r} must be finite, not {weight!r}")
            if losses[name].dim() != 0:
                raise ValueError(f"loss {name!r} must be one number (0-dim), not of shape {tuple(losses[name].shape)}")
        total = torch.stack([_at_least_float32(losses[name]) * weight for name, weight in weights.items()]).sum()
        parts = {name: loss.detach() for name, loss in losses.items()}
        return cls(loss=total, examples=examples, correct=correct, parts=parts)


Objective = Callable[[torch.nn.Module, Batch], Outcome]


def classification(model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> Outcome:
    """Judge a classifier, or a language model as the classifier of each next token, by cross entropy.

    Args:
        batch: inputs for `model`, and integer targets of shape `(*,)` for logits of shape `(*, classes)`.

    The loss is computed in float32: half-precision logits would round it to three digits, and a float16 loss
    overflows when it is scaled.
    """
    inputs, targets = batch
    logits = model(inputs)
    flat, wanted = logits.float().flatten(0, -2), targets.flatten()
    correct = (flat.detach().argmax(-1) == wanted).sum()
    return Outcome(loss=F.cross_entropy(flat, wanted), examples=wanted.numel(), correct=correct)


def weighted_mean(losses: Sequence[torch.Tensor], parts: Sequence[float]) -> torch.Tensor:
    """Return the 0-dim float32 mean of micro-batches' losses by their shares, without their graphs."""
    detached = [loss.detach().float() for loss in losses]
    if len(detached) == 1:
        return detached[0]
    return torch.stack([loss * share for loss, share in zip(detached, parts, strict=True)]).sum()


def mean_of_parts(outcomes: Sequence[Outcome], parts: Sequence[float]) -> dict[str, torch.Tensor]:
    """Return the mean of each named loss over the micro-batches of a step.

    Raises:
        ValueError: the micro-batches do not name the same losses.
    """
    names = outcomes[0].parts.keys()
    if any(outcome.parts.keys() != names for outcome in outcomes):
        raise ValueError("the micro-batches of one step name different losses; name the same ones in each")
    return {name: weighted_mean([outcome.parts[name] for outcome in outcomes], parts) for name in names}


def total_correct(outcomes: Sequence[Outcome]) -> torch.Tensor | None:
    """Add up the right predictions of micro-batches; None where none of them counts any."""
    counts = [outcome.correct for outcome in outcomes if outcome.correct is not None]
    return torch.stack(counts).sum() if counts else None


def _at_least_float32(loss: torch.Tensor) -> torch.Tensor:
    return loss if loss.dtype is torch.float64 else loss.float()
