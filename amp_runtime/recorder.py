"""Collects the steps of an epoch and reads their figures from the device in batches, as each read waits for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from amp_runtime.history import EpochRecord, StepRecord
from amp_runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.step import StepReport

_READ_EVERY = 64  # steps


@dataclass(slots=True)
class _Sums:
    """What an epoch's means are made of; it goes into checkpoints, so that an epoch can be resumed in its middle."""

    steps: int = 0
    skipped: int = 0
    withheld: int = 0
    examples: int = 0
    trained: int = 0
    loss: float = 0.0
    correct: int = 0
    counted: bool = False
    seconds: float = 0.0
    step: int = 0
    scale: float | None = None


class EpochRecorder:
    """Knows one epoch so far."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._sums = _Sums()
        self._unread: list[tuple[StepReport, float, float]] = []
        self._since: float | None = None

    def start_clock(self) -> None:
        """Count the time from now on as time of training."""
        self._since = time.perf_counter()

    def stop_clock(self) -> None:
        """Count no time until the clock is started again."""
        if self._since is not None:
            self._sums.seconds += time.perf_counter() - self._since
            self._since = None

    def add(self, report: StepReport, step_s: float, wait_s: float) -> list[StepRecord]:
        """Add a step; returns the steps that have been read because of it, most often none."""
        self._unread.append((report, step_s, wait_s))
        return self.read() if len(self._unread) >= _READ_EVERY else []

    def read(self) -> list[StepRecord]:
        """Turn the steps that are still unread into numbers; waits for the device."""
        unread, self._unread = self._unread, []
        if not unread:
            return []
        losses = _numbers([report.loss_tensor for report, _, _ in unread])
        norms = _numbers([report.norm_tensor for report, _, _ in unread])
        records = []
        for (report, step_s, wait_s), loss, norm in zip(unread, losses, norms, strict=True):
            record = StepRecord(
                number=report.number,
                epoch=self.epoch,
                loss=loss,
                examples=report.examples,
                grad_norm=norm,
                lr=report.lr,
                skipped=report.skipped,
                withheld=report.withheld,
                scale=report.scale,
                step_s=step_s,
                wait_s=wait_s,
            )
            records.append(record)
            self._count(record, report.correct_tensor)
        return records

    def _count(self, record: StepRecord, correct: torch.Tensor | None) -> None:
        sums = self._sums
        sums.steps += 1
        sums.examples += record.examples
        sums.skipped += record.skipped
        sums.withheld += record.withheld
        sums.step, sums.scale = record.number, record.scale
        # A skipped step's loss is often inf or NaN and would spoil the mean of the epoch.
        if record.skipped:
            return
        sums.trained += record.examples
        sums.loss += record.loss * record.examples
        if correct is not None:
            sums.correct += int(correct.item())
            sums.counted = True

    @property
    def steps(self) -> int:
        """Steps of this epoch, those before a resumption included; call `read` first."""
        return self._sums.steps

    def summary(self, validation: Metrics | None) -> EpochRecord:
        """Put the epoch together; call `read` and `stop_clock` first. There must be a step."""
        sums = self._sums
        return EpochRecord(
            epoch=self.epoch,
            step=sums.step,
            steps=sums.steps,
            skipped=sums.skipped,
            withheld=sums.withheld,
            train=self._metrics(),
            validation=validation,
            examples_per_s=sums.examples / sums.seconds,
            step_time_s=sums.seconds / sums.steps,
            scale=sums.scale,
        )

    def _metrics(self) -> Metrics | None:
        sums = self._sums
        if not sums.trained:
            return None
        accuracy = sums.correct / sums.trained if sums.counted else None
        return Metrics(loss=sums.loss / sums.trained, examples=sums.trained, accuracy=accuracy)

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch so far; call `read` first. The clock may run on."""
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        state = {name: getattr(self._sums, name) for name in _Sums.__slots__}
        return {"epoch": self.epoch, **state, "seconds": self._sums.seconds + running}

    @classmethod
    def resumed(cls, state: dict[str, Any]) -> EpochRecorder:
        """Go on with an epoch from what `state_dict` returned."""
        recorder = cls(state["epoch"])
        recorder._sums = _Sums(**{name: state[name] for name in _Sums.__slots__})
        return recorder


def _numbers(tensors: Sequence[torch.Tensor]) -> list[float]:
    numbers: list[float] = torch.stack([tensor.double() for tensor in tensors]).tolist()
    return numbers
