"""Loss, perplexity and accuracy over many batches, without waiting for the device at each one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from amp_runtime.modes import evaluating

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from amp_runtime.objective import Objective
    from amp_runtime.policy import Fp32Policy

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Means over `examples` predictions. `accuracy` is a share from 0 to 1, None where nothing was counted right."""

    loss: float
    examples: int
    accuracy: float | None = None

    @property
    def perplexity(self) -> float:
        """Return e to the loss (the loss being in nats); inf where that exceeds a float."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf


class Meter:
    """Adds up batches, in float64 and on the device; `read` waits for it once."""

    def __init__(self) -> None:
        self.examples = 0
        self._loss: torch.Tensor | None = None
        self._correct: torch.Tensor | None = None

    def add(self, loss: torch.Tensor, examples: int, correct: torch.Tensor | None) -> None:
        """Add a batch whose mean loss over `examples` is `loss`."""
        weighted = loss.detach().double() * examples
        self._loss = weighted if self._loss is None else self._loss + weighted
        if correct is not None:
            self._correct = correct if self._correct is None else self._correct + correct
        self.examples += examples

    def read(self) -> Metrics:
        """Return the means so far.

        Raises:
            ValueError: nothing was added.
        """
        if self._loss is None or self.examples == 0:
            raise ValueError("there is nothing to average: no batch was seen")
        correct = None if self._correct is None else float(self._correct.item())
        return Metrics(
            loss=float(self._loss.item()) / self.examples,
            examples=self.examples,
            accuracy=None if correct is None else correct / self.examples,
        )


def evaluate(
    model: torch.nn.Module, batches: Iterable[Batch], policy: Fp32Policy, objective: Objective[Batch]
) -> Metrics:
    """Measure `model` in the precision it trains in; leaves modes, gradients and weights as they were.

    Raises:
        ValueError: no batches.
    """
    meter = Meter()
    with evaluating(model):
        for batch in batches:
            with policy.autocast():
                outcome = objective(model, batch)
            meter.add(outcome.loss, outcome.examples, outcome.correct)
    return meter.read()
