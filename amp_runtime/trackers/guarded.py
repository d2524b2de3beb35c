"""A tracker that cannot stop training: its first failure is said once, and then it is left alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from amp_runtime.trackers.contract import Scalar, Tracker

_log = logging.getLogger(__name__)


class Guarded:
    """Passes calls on to a tracker until one of them raises.

    Args:
        note: hears the sentence about the failure.
    """

    def __init__(self, tracker: Tracker, note: Callable[[str], None]) -> None:
        self.tracker = tracker
        self.failed = False
        self._note = note

    def config(self, values: Mapping[str, Scalar]) -> None:
        self._try("config", lambda: self.tracker.config(values))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._try(f"log of step {step}", lambda: self.tracker.log(step, values))

    def close(self) -> None:
        self._try("close", self.tracker.close)

    def _try(self, what: str, call: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            call()
        except Exception as error:  # whatever a service does, it is no reason to lose the training
            self.failed = True
            sentence = f"{self.tracker.name} failed at {what} and gets nothing more: {type(error).__name__}: {error}"
            if what != "close":
                sentence += self._let_go()
            _log.warning("%s", sentence)
            self._note(sentence)

    def _let_go(self) -> str:
        try:
            self.tracker.close()
        except Exception as error:  # it is broken already; the sentence is where this is told
            return f"; closing it failed too: {type(error).__name__}: {error}"
        return ""
