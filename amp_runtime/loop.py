"""Train for some epochs, validate after each, and say how it went."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar

from amp_runtime.accumulation import windows
from amp_runtime.history import EpochRecord, EpochRecorder, History
from amp_runtime.metrics import evaluate
from amp_runtime.modes import restored_modes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from amp_runtime.callbacks import Callback
    from amp_runtime.metrics import Metrics
    from amp_runtime.step import TrainingStep

Batch = TypeVar("Batch")

_log = logging.getLogger(__name__)


def fit(
    step: TrainingStep[Batch],
    batches: Iterable[Batch],
    *,
    epochs: int,
    accumulation: int = 1,
    validation: Iterable[Batch] | None = None,
    callbacks: Sequence[Callback] = (),
    first_epoch: int = 1,
) -> History:
    """Train `step.model` on `batches`, over and over, and return the run's history.

    Validation runs in eval mode and in the precision of training. Every submodule's own mode is restored at the
    end; during training the whole model is in train mode.

    Args:
        batches: gone through once per epoch, so no one-time iterator when there are several epochs.
        epochs: how many to train now.
        accumulation: micro-batches per optimizer step; an epoch's last step may have fewer.
        first_epoch: number of the first one, for a run that is resumed.

    Raises:
        ValueError: fewer than one epoch, or an epoch without batches.
        NonFiniteError, ScaleCollapseError: see `TrainingStep.run`.
    """
    if epochs < 1:
        raise ValueError(f"there must be at least one epoch, not {epochs}")
    history = History()
    with restored_modes(step.model):
        for epoch in range(first_epoch, first_epoch + epochs):
            recorder, seconds = _train(step, windows(batches, accumulation), callbacks)
            if not recorder.records:
                raise ValueError(f"epoch {epoch} had no batches; a generator is used up after one epoch")
            measured = None if validation is None else evaluate(step.model, validation, step.policy, step.objective)
            record = _summary(epoch, recorder, seconds, measured)
            history = History(steps=(*history.steps, *recorder.records), epochs=(*history.epochs, record))
            _log.info("%s", describe(record))
            for callback in callbacks:
                callback.on_epoch(record)
    return history


def _train(
    step: TrainingStep[Batch], groups: Iterable[tuple[Batch, ...]], callbacks: Sequence[Callback]
) -> tuple[EpochRecorder, float]:
    recorder = EpochRecorder()
    step.model.train()
    started = time.perf_counter()
    for group in groups:
        report = step.run(group)
        recorder.add(report)
        for callback in callbacks:
            callback.on_step(report)
    step.zero_grad()  # validation needs the memory
    recorder.read()  # waits for the device, so that the time is that of the work and not of its submission
    return recorder, time.perf_counter() - started


def _summary(epoch: int, recorder: EpochRecorder, seconds: float, validation: Metrics | None) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        steps=len(recorder.records),
        skipped=sum(record.skipped for record in recorder.records),
        train=recorder.metrics(),
        validation=validation,
        examples_per_s=recorder.examples / seconds,
        scale=recorder.records[-1].scale,
    )


def describe(record: EpochRecord) -> str:
    """Put an epoch in one line."""
    parts = [f"epoch {record.epoch}: {record.steps} steps, {record.skipped} skipped"]
    for name, metrics in (("train", record.train), ("validation", record.validation)):
        if metrics is not None:
            accuracy = "" if metrics.accuracy is None else f", accuracy {metrics.accuracy:.4f}"
            parts.append(f"{name} loss {metrics.loss:.4f}, perplexity {metrics.perplexity:.4g}{accuracy}")
    parts.append(f"{record.examples_per_s:.0f} examples/s")
    if record.scale is not None:
        parts.append(f"loss scale {record.scale:g}")
    return "; ".join(parts)
