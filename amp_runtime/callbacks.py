"""What a training loop tells those who listen. An exception of theirs ends the run: a listener is part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.history import EpochRecord, History, StepRecord, ValidationRecord
    from amp_runtime.run import TrainingRun
    from amp_runtime.step import StepReport


class Callback:
    """Override what you need; every method does nothing by itself.

    In order: `on_start`; for each step `on_step`, then `on_validation` where one is due, then `on_settled`; at the end
    of an epoch `on_validation`, `on_epoch`, `on_settled`; and at last either `on_end` or `on_exception`.
    """

    def on_start(self, run: TrainingRun[Any]) -> None:
        """Hear that training begins. `run` can be kept: it knows the position, and `run.stop(reason)` ends training."""

    def on_step(self, report: StepReport) -> None:
        """Hear of one finished step. Reading its figures waits for the device."""

    def on_records(self, records: Sequence[StepRecord]) -> None:
        """Hear of steps whose figures have been read from the device, several at once; costs no wait."""

    def on_validation(self, record: ValidationRecord) -> None:
        """Hear of one finished validation."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Hear of one finished epoch, validation included."""

    def on_settled(self) -> None:
        """Hear that all is done about a step or an epoch: the moment at which a checkpoint is exact."""

    def on_exception(self, error: BaseException, history: History) -> None:
        """Hear that training ends by `error`, which goes on to the caller of `fit`."""

    def on_end(self, history: History) -> None:
        """Hear that training has ended; `history.ended` says why."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep of this listener: tensors and plain data."""
        return {}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Take over what `state_dict` returned."""
