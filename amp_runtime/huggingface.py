"""A callback that watches the Trainer of transformers for misuse of mixed precision."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise ImportError("this callback needs transformers: pip install 'verify-amp[huggingface]'") from error

from amp_runtime.instrument.sanitizer import Sanitizer

if TYPE_CHECKING:
    from amp_runtime.instrument.faults import Plan
    from amp_runtime.instrument.records import SanitizerReport

_log = logging.getLogger(__name__)


class AmpSanitizerCallback(TrainerCallback):
    """Watch `train()` from its first step to its end, and log what was found.

    Where training raises, Transformers tells its callbacks nothing; `stop()` then ends the watching.

    Args:
        faults: what is planted in which steps; None: nothing is.
    """

    def __init__(self, *, faults: Plan | None = None) -> None:
        self._faults = faults
        self._watching: Sanitizer | None = None
        self._report: SanitizerReport | None = None

    @property
    def report(self) -> SanitizerReport:
        """What was found.

        Raises:
            RuntimeError: training has not ended.
        """
        if self._report is None:
            raise RuntimeError("there is no report yet: training has not come to its end")
        return self._report

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._watching = Sanitizer(faults=self._faults)
        self._watching.start()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.stop()

    def stop(self) -> None:
        """End the watching and log what was found. May come twice."""
        watching, self._watching = self._watching, None
        if watching is None:
            return
        watching.stop()
        self._report = watching.report()
        _log.log(logging.WARNING if self._report.alarms else logging.INFO, "%s", watching.summary())
