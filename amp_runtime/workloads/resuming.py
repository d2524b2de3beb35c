"""What a workload must keep to go on where it stopped: weights, optimizers, schedules, loss scale, place in data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from amp_runtime.policy import Fp32Policy
    from amp_runtime.step import TrainingStep

Batch = TypeVar("Batch")


class Resuming(Generic[Batch]):
    """The part of a workload that can be saved. Its batches are an endless stream that begins the same every time."""

    model: torch.nn.Module
    policy: Fp32Policy
    loss_scales: list[float]

    def __init__(self, batches: Iterator[Batch], steps: Sequence[TrainingStep[Batch]]) -> None:
        self._batches = batches
        self._steps = tuple(steps)
        self._drawn = 0

    def next_batch(self) -> Batch:
        """Draw the next batch, and count it."""
        self._drawn += 1
        return next(self._batches)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors, numbers, lists and dicts alone, so that it loads without running code."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [one.state_dict() for step in self._steps for one in step.optimizers],
            "schedulers": [one.state_dict() for step in self._steps for one in step.schedulers],
            "policy": self.policy.state_dict(),
            "batches": self._drawn,
            "loss_scales": list(self.loss_scales),
        }

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from a state of a workload made with the same arguments.

        Raises:
            ValueError: more batches have been drawn here than there, or another number of optimizers or schedulers.
        """
        if self._drawn > state["batches"]:
            raise ValueError(
                f"{self._drawn} batches are drawn already, the state has {state['batches']}; load it first"
            )
        self.model.load_state_dict(state["model"])
        optimizers = [one for step in self._steps for one in step.optimizers]
        for one, kept in zip(optimizers, state["optimizers"], strict=True):
            one.load_state_dict(kept)
        schedulers = [one for step in self._steps for one in step.schedulers]
        for schedule, kept in zip(schedulers, state["schedulers"], strict=True):
            schedule.load_state_dict(kept)
        self.policy.load_state_dict(state["policy"])
        self.loss_scales = list(state["loss_scales"])
        while self._drawn < state["batches"]:
            self.next_batch()
