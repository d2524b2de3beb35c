"""A training run while it goes on: what the loop, its listeners and checkpoints share about it."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from amp_runtime import rng
from amp_runtime.checkpoint import load_checkpoint, save_checkpoint
from amp_runtime.history import History, ValidationRecord
from amp_runtime.metrics import evaluate
from amp_runtime.position import Position, generator_states, restore_generators
from amp_runtime.recorder import EpochRecorder
from amp_runtime.step.ranks import ranks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from amp_runtime.callbacks import Callback
    from amp_runtime.checkpoint import Stateful
    from amp_runtime.history import EpochRecord, StepRecord
    from amp_runtime.metrics import Metrics
    from amp_runtime.step import StepReport, TrainingStep

Batch = TypeVar("Batch")

_log = logging.getLogger(__name__)


class _InterruptedError(Exception):
    """Ends a validation that was interrupted; never leaves this module."""


class TrainingRun(Generic[Batch]):
    """The state of one call of `fit`.

    Args:
        stateful: what else belongs into checkpoints, by name.
        averaged: measure the averaged weights of the step's EMA in place of its own.

    Raises:
        ValueError: averaged weights of a step that has none.
    """

    def __init__(
        self,
        step: TrainingStep[Batch],
        batches: Iterable[Batch],
        validation: Iterable[Batch] | None,
        callbacks: Sequence[Callback],
        stateful: Mapping[str, Stateful],
        *,
        averaged: bool = False,
    ) -> None:
        if averaged and step.ema is None:
            raise ValueError("the averaged weights were to be validated, but the step has no EMA; give it one")
        self._averaged = averaged
        self.step = step
        self.batches = batches
        self.validation = validation
        self.position = Position()
        self.last_validation: ValidationRecord | None = None
        self.ended = ""
        self.interrupted = False
        self._ranks = ranks_of(step.model)
        self._asked = False
        self._callbacks = tuple(callbacks)
        self._stateful = dict(stateful)
        self._validated_at = -1
        self._recorder: EpochRecorder | None = None
        self._steps: list[StepRecord] = []
        self._epochs: list[EpochRecord] = []
        self._validations: list[ValidationRecord] = []
        self._failures: list[str] = []

    def stop(self, reason: str) -> None:
        """End training after the current step; the first reason given stands in the history."""
        self.ended = self.ended or reason

    def interrupt(self) -> None:
        """End training after the current step, without another validation. Safe in a signal handler."""
        self._asked = True
        if self._ranks.size == 1:
            self._end_interrupted()

    def _end_interrupted(self) -> None:
        self.interrupted = True
        self.stop(f"interrupted by Ctrl-C after step {self.step.number}")

    def agree(self) -> None:
        """End training on every process that trains the model where one of them wants it; they must not part."""
        if self._ranks.size == 1:
            return
        if self._ranks.any(torch.tensor(self._asked)).item():
            self._end_interrupted()
        if self._ranks.any(torch.tensor(bool(self.ended))).item():
            self.stop("another process ended training")

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes: the only one, or the first of several that train the model."""
        return self._ranks.size == 1 or torch.distributed.get_rank() == 0

    def note_failure(self, sentence: str) -> None:
        """List something in the history that went wrong beside training and did not stop it."""
        self._failures.append(sentence)

    @property
    def history(self) -> History:
        """What has been recorded so far; steps whose figures are still on the device are missing."""
        return History(
            steps=tuple(self._steps),
            epochs=tuple(self._epochs),
            validations=tuple(self._validations),
            ended=self.ended,
            interrupted=self.interrupted,
            failures=tuple(self._failures),
        )

    def add_callbacks(self, callbacks: Sequence[Callback]) -> None:
        """Let more listeners hear of the run, after those that do."""
        self._callbacks = (*self._callbacks, *callbacks)

    def tell(self, hear: Callable[[Callback], None]) -> None:
        """Let every listener hear of something, in their order."""
        for callback in self._callbacks:
            hear(callback)

    @property
    def recorder(self) -> EpochRecorder:
        """The record of the current epoch, begun on first use."""
        if self._recorder is None or self._recorder.epoch != self.position.epoch:
            self._recorder = EpochRecorder(self.position.epoch)
        return self._recorder

    def record_step(self, report: StepReport, taken: int, step_s: float, wait_s: float) -> None:
        """Note a step that took `taken` batches from the data, and tell of it."""
        self.position.batches += taken
        self._tell_records(self.recorder.add(report, step_s, wait_s))
        self.tell(lambda callback: callback.on_step(report))

    def read(self) -> None:
        """Read what is still on the device, and tell of it."""
        self._tell_records(self.recorder.read())

    def _tell_records(self, records: Sequence[StepRecord]) -> None:
        if records:
            self._steps.extend(records)
            self.tell(lambda callback: callback.on_records(records))

    def record_epoch(self, *, whole: bool) -> EpochRecord:
        """Note the end of an epoch, or of the part of it that was trained, and tell of it."""
        measured = self.last_validation
        fresh = measured is not None and measured.step == self.step.number
        record = self.recorder.summary(measured.metrics if measured is not None and fresh else None)
        self._epochs.append(record)
        self.tell(lambda callback: callback.on_epoch(record))
        if whole:
            self.position = Position(epoch=self.position.epoch + 1)
        return record

    def validate(self) -> None:
        """Measure the model, unless these weights have been measured already, and tell of it.

        What validation draws from the global random generators is drawn beside training, which goes on as without it.
        An interruption ends it without a result; a resumed run then begins with it.
        """
        if self.validation is None or self._validated_at == self.step.number:
            return
        self.read()
        self.step.zero_grad()  # validation needs the memory
        generators, started = rng.capture(), time.perf_counter()
        try:
            metrics = self._measure(self.validation)
        except _InterruptedError:
            return
        finally:
            rng.restore(generators)
        seconds = time.perf_counter() - started
        record = ValidationRecord(step=self.step.number, epoch=self.position.epoch, metrics=metrics, seconds=seconds)
        self.last_validation, self._validated_at = record, self.step.number
        self._validations.append(record)
        self.tell(lambda callback: callback.on_validation(record))

    def _measure(self, batches: Iterable[Batch]) -> Metrics:
        def uninterrupted() -> Iterator[Batch]:
            empty = True
            for batch in batches:
                empty = False
                if self.interrupted:  # of several processes, none leaves the others alone in a validation
                    raise _InterruptedError
                yield batch
            if empty:
                raise ValueError(
                    f"validation after step {self.step.number} had no batches; a generator is used up after one pass"
                )

        with self.measured():
            return evaluate(self.step.model, uninterrupted(), self.step.policy, self.step.objective)

    def measured(self) -> AbstractContextManager[None]:
        """Let the model hold, in the body, the weights that validation measures: its own or their average."""
        ema = self.step.ema
        return ema.swapped() if self._averaged and ema is not None else contextlib.nullcontext()

    def save(self, path: str | Path, metrics: Mapping[str, float] | None = None) -> None:
        """Write a checkpoint from which `fit(..., resume=path)` goes on. Exact between steps, best in `on_settled`."""
        self.read()
        save_checkpoint(path, self.step, objects={"run": self, **self._stateful}, metrics=metrics)

    def load(self, path: str | Path) -> None:
        """Take over a checkpoint that `save` wrote. Raises CheckpointError as `load_checkpoint` does."""
        load_checkpoint(path, self.step, objects={"run": self, **self._stateful})
        _log.info("resumed after step %d, in epoch %d", self.step.number, self.position.epoch)

    def state_dict(self) -> dict[str, Any]:
        """Position, the epoch so far, and the listeners."""
        return {
            "epoch": self.position.epoch,
            "batches": self.position.batches,
            "begin": self.position.begin,
            "generators": generator_states(self.batches),
            "validated_at": self._validated_at,
            "recorder": self.recorder.state_dict(),
            "callbacks": {name: callback.state_dict() for name, callback in self._named_callbacks().items()},
        }

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        restore_generators(self.batches, state["generators"])
        own = self._named_callbacks()
        for name in sorted(own.keys() - state["callbacks"].keys()):
            _log.warning("the checkpoint knows no %s, which starts afresh", name)
        for name in sorted(state["callbacks"].keys() - own.keys()):
            _log.warning("the checkpoint has the state of %s, which this run does not have: it is dropped", name)
        for name in sorted(own.keys() & state["callbacks"].keys()):
            own[name].load_state_dict(state["callbacks"][name])
        self.position = Position(epoch=state["epoch"], batches=state["batches"], begin=state["begin"])
        self._validated_at = state["validated_at"]
        self._recorder = EpochRecorder.resumed(state["recorder"])

    def _named_callbacks(self) -> dict[str, Callback]:
        """Name listeners that have a state: by class, and by number where there are several of a class."""
        named: dict[str, Callback] = {}
        for callback in self._callbacks:
            name, number = type(callback).__name__, 2
            while name in named:
                name, number = f"{type(callback).__name__} {number}", number + 1
            named[name] = callback
        return named
