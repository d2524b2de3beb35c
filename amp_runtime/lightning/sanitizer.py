"""A callback that watches Lightning's training for misuse of mixed precision."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from amp_runtime.instrument.sanitizer import Sanitizer

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from amp_runtime.instrument.faults import Plan
    from amp_runtime.instrument.records import SanitizerReport

_log = logging.getLogger(__name__)


class AmpSanitizer(Callback):
    """Watch `fit` from its beginning to its end, and log what was found.

    Args:
        faults: what is planted in which steps; None: nothing is.
        raise_on_alarm: end `fit` with an error where there is one, after it has run.

    Raises:
        RuntimeError: at the end of `fit`, for an alarm, with `raise_on_alarm`.
    """

    def __init__(self, *, faults: Plan | None = None, raise_on_alarm: bool = False) -> None:
        self._faults = faults
        self._raise = raise_on_alarm
        self._watching: Sanitizer | None = None
        self._report: SanitizerReport | None = None

    @property
    def report(self) -> SanitizerReport:
        """What was found.

        Raises:
            RuntimeError: `fit` has not run.
        """
        if self._report is None:
            raise RuntimeError("there is no report yet: fit has not run to its end")
        return self._report

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            self._watching = Sanitizer(faults=self._faults)
            self._watching.start()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._finish()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        text = self._finish()
        if self._raise and self.report.alarms:
            raise RuntimeError(text)

    def _finish(self) -> str:
        watching, self._watching = self._watching, None
        if watching is None:
            return ""
        watching.stop()
        self._report = watching.report()
        text = watching.summary()
        _log.log(logging.WARNING if self._report.alarms else logging.INFO, "%s", text)
        return text
