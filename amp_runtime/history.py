"""What a training run leaves behind: one record per step and per epoch, read from the device in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from amp_runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.step import StepReport

# Each read waits for the device, so steps are read this many at a time.
_READ_EVERY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step in plain numbers; `grad_norm` is that of the true gradients, `scale` None without loss scaling."""

    number: int
    loss: float
    grad_norm: float
    lr: float
    skipped: bool
    scale: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch.

    Args:
        train: means over the steps that changed the weights; None where every step was skipped.
        skipped: steps that did not.
        examples_per_s: predictions trained on per second of training, validation not counted.
        scale: loss scale of the last step.
    """

    epoch: int
    steps: int
    skipped: int
    train: Metrics | None
    validation: Metrics | None
    examples_per_s: float
    scale: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A whole run, oldest first."""

    steps: tuple[StepRecord, ...] = ()
    epochs: tuple[EpochRecord, ...] = ()

    @property
    def scales(self) -> tuple[float, ...]:
        """The loss scale of each step; empty without loss scaling."""
        return tuple(step.scale for step in self.steps if step.scale is not None)


class EpochRecorder:
    """Collects the steps of one epoch."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []
        self.examples = 0
        self._unread: list[StepReport] = []
        self._trained = 0
        self._loss = 0.0
        self._correct: int | None = None

    def add(self, report: StepReport) -> None:
        self._unread.append(report)
        self.examples += report.examples
        if len(self._unread) >= _READ_EVERY:
            self.read()

    def read(self) -> None:
        """Turn the steps so far into numbers; waits for the device."""
        reports, self._unread = self._unread, []
        if not reports:
            return
        losses = _numbers([report.loss_tensor for report in reports])
        norms = _numbers([report.norm_tensor for report in reports])
        for report, loss, norm in zip(reports, losses, norms, strict=True):
            record = StepRecord(
                number=report.number,
                loss=loss,
                grad_norm=norm,
                lr=report.lr,
                skipped=report.skipped,
                scale=report.scale,
            )
            self.records.append(record)
            if not record.skipped:
                self._count(report, loss)

    def _count(self, report: StepReport, loss: float) -> None:
        # A skipped step's loss is often inf or NaN and would spoil the mean of the epoch.
        self._trained += report.examples
        self._loss += loss * report.examples
        if report.correct_tensor is not None:
            self._correct = (self._correct or 0) + int(report.correct_tensor.item())

    def metrics(self) -> Metrics | None:
        """Return the means over the steps that trained; call `read` first."""
        if not self._trained:
            return None
        accuracy = None if self._correct is None else self._correct / self._trained
        return Metrics(loss=self._loss / self._trained, examples=self._trained, accuracy=accuracy)


def _numbers(tensors: Sequence[torch.Tensor]) -> list[float]:
    numbers: list[float] = torch.stack([tensor.double() for tensor in tensors]).tolist()
    return numbers
