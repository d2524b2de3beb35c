"""What a training loop tells those who listen. An exception of theirs ends the run: a listener is part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.history import EpochRecord
    from amp_runtime.step import StepReport


class Callback:
    """Override what you need; every method does nothing by itself."""

    def on_step(self, report: StepReport) -> None:
        """Hear of one finished step. Reading its figures waits for the device."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Hear of one finished epoch, validation included."""
