"""Train for some epochs or steps, validate in between, and say how it went."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from amp_runtime.accumulation import windows
from amp_runtime.history import History, describe
from amp_runtime.interruption import interruptible
from amp_runtime.modes import restored_modes
from amp_runtime.position import open_epoch
from amp_runtime.progress import progress_callbacks
from amp_runtime.run import TrainingRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from amp_runtime.callbacks import Callback
    from amp_runtime.checkpoint import Stateful
    from amp_runtime.step import TrainingStep

Batch = TypeVar("Batch")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How far and in which windows to train.

    Raises:
        ValueError: no end, or a figure with which there is nothing to do.
    """

    epochs: int | None
    max_steps: int | None
    accumulation: int
    validate_every: int | None
    first_epoch: int

    def __post_init__(self) -> None:
        if self.epochs is None and self.max_steps is None:
            raise ValueError("fit needs an end: give epochs, max_steps or both")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"there must be at least one epoch, not {self.epochs}")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, not {self.max_steps}")
        if self.validate_every is not None and self.validate_every < 1:
            raise ValueError(f"validate_every must be at least 1 step, not {self.validate_every}")

    @property
    def last_epoch(self) -> int | None:
        return None if self.epochs is None else self.first_epoch + self.epochs - 1

    def is_over(self, number: int) -> bool:
        return self.max_steps is not None and number >= self.max_steps


def fit(  # noqa: PLR0913 - keywords, as the user of any such loop expects them
    step: TrainingStep[Batch],
    batches: Iterable[Batch],
    *,
    epochs: int | None = None,
    max_steps: int | None = None,
    accumulation: int = 1,
    validation: Iterable[Batch] | None = None,
    validate_every: int | None = None,
    validate_averaged: bool = False,
    callbacks: Sequence[Callback] = (),
    stateful: Mapping[str, Stateful] | None = None,
    resume: str | Path | None = None,
    progress: bool | None = None,
    first_epoch: int = 1,
) -> History:
    """Train `step.model` on `batches`, over and over, and return the run's history.

    Validation runs after each epoch, in eval mode and in the precision of training. Every submodule's own mode is
    restored at the end; during training the whole model is in train mode. No hyper-parameter is ever changed.

    Ctrl-C ends training after the current step, with a checkpoint where `Checkpoints` is among the callbacks, and
    returns a history that says `interrupted`; a second Ctrl-C raises KeyboardInterrupt at once.

    Several processes that train one model (DistributedDataParallel) end together. The first one alone writes
    checkpoints, shows progress and sends to trackers; after a resumption all have its random generators.

    Args:
        batches: gone through once per epoch, so no one-time iterator when there are several epochs.
        epochs: how many to train; with `resume`, those before the resumption count.
        max_steps: end when `step.number` reaches it, steps before a resumption included.
        accumulation: micro-batches per optimizer step; an epoch's last step may have fewer.
        validate_every: also validate whenever `step.number` is a multiple of it.
        validate_averaged: measure the averaged weights of `step.ema` in place of the model's own.
        stateful: what else belongs into checkpoints, by name, and is restored from them.
        resume: a checkpoint that a `Checkpoints` callback wrote (`latest_checkpoint(folder)` finds the newest). On a
            CPU the run then goes on bit for bit, also in the middle of an epoch. None starts a new run.
        progress: a bar on a terminal, lines elsewhere, on stderr; None does without lines that logging already shows.
        first_epoch: number of the first one.

    Raises:
        ValueError: no end to train to, averaged weights that there are not, an epoch without batches, or data that
            ends before the point of resumption.
        NonFiniteError, ScaleCollapseError: see `TrainingStep.run`. CheckpointError: see `load_checkpoint`.
    """
    plan = _Plan(
        epochs=epochs,
        max_steps=max_steps,
        accumulation=accumulation,
        validate_every=validate_every,
        first_epoch=first_epoch,
    )
    run = TrainingRun(step, batches, validation, callbacks, stateful or {}, averaged=validate_averaged)
    if run.is_first:
        run.add_callbacks(progress_callbacks(progress, last_epoch=plan.last_epoch, max_steps=max_steps))
    run.position.epoch = first_epoch
    if resume is not None:
        run.load(resume)
    with restored_modes(step.model), interruptible(run.interrupt):
        return _Loop(run, plan).go()


class _Loop(Generic[Batch]):
    def __init__(self, run: TrainingRun[Batch], plan: _Plan) -> None:
        self.run = run
        self.plan = plan

    def go(self) -> History:
        run = self.run
        try:
            run.tell(lambda callback: callback.on_start(run))
            if self.plan.is_over(run.step.number):
                run.stop(f"step {run.step.number} had reached max_steps before training began")
            for epoch in itertools.count(run.position.epoch):
                if run.ended:
                    break
                if self.plan.last_epoch is not None and epoch > self.plan.last_epoch:
                    run.stop("all epochs had been trained before training began")
                    break
                self._epoch(epoch)
            history = run.history
            run.tell(lambda callback: callback.on_end(history))
        except BaseException as error:
            self._fail(error)
            raise
        return run.history

    def _fail(self, error: BaseException) -> None:
        self.run.ended = f"{type(error).__name__}: {error}"
        try:
            self.run.read()
        except Exception as another:  # a device that failed cannot be read
            error.add_note(f"the last steps are not in the history: {type(another).__name__}: {another}")
        history = self.run.history

        def hear(callback: Callback) -> None:
            try:
                callback.on_exception(error, history)
            except Exception as another:  # the others must hear of it too, and the first error is the one that counts
                error.add_note(f"{type(callback).__name__}.on_exception failed: {type(another).__name__}: {another}")

        self.run.tell(hear)

    def _epoch(self, epoch: int) -> None:
        run = self.run
        run.step.model.train()
        run.recorder.start_clock()
        whole = self._steps()
        run.read()  # waits for the device, so that the time is that of the work and not of its submission
        run.recorder.stop_clock()
        run.step.zero_grad()
        if not run.recorder.steps and not run.ended:
            raise ValueError(f"epoch {epoch} had no batches; a generator is used up after one epoch")
        if not run.interrupted:
            run.validate()
        # An interrupted epoch is recorded by the run that resumes it.
        if run.recorder.steps and not run.interrupted:
            _log.info("%s", describe(run.record_epoch(whole=whole)))
        if epoch == self.plan.last_epoch and whole:
            run.stop("all epochs were trained")
        run.agree()
        run.tell(lambda callback: callback.on_settled())

    def _steps(self) -> bool:
        """Train the epoch; returns whether it came to its own end."""
        run = self.run
        if run.recorder.steps:  # resumed after a step whose validation was interrupted
            self._validate_if_due()
        waited = time.perf_counter()
        for window in windows(self._data(), self.plan.accumulation):
            began = time.perf_counter()
            report = run.step.run(window)
            run.record_step(report, len(window), time.perf_counter() - began, began - waited)
            if self.plan.is_over(run.step.number):
                run.stop(f"step {run.step.number} reached max_steps")
            self._validate_if_due()
            if not run.ended:
                run.tell(lambda callback: callback.on_settled())
            run.agree()
            if run.ended:
                return False
            waited = time.perf_counter()
        return not run.interrupted

    def _data(self) -> Iterator[Batch]:
        """Open the data, and end where training was stopped before it was opened."""
        if not self.run.ended:
            yield from open_epoch(self.run.batches, self.run.position)

    def _validate_if_due(self) -> None:
        run, every = self.run, self.plan.validate_every
        if every is None or run.step.number == 0 or run.step.number % every or run.interrupted:
            return
        run.recorder.stop_clock()
        run.validate()
        run.recorder.start_clock()
