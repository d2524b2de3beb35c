"""What a forward pass yields: the loss to minimise, and what the metrics count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    """

    loss: torch.Tensor
    examples: int
    correct: torch.Tensor | None = None


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
