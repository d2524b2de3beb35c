"""What a tracker is: something that takes a configuration, figures by step, and is closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Scalar = None | bool | int | float | str


class Tracker(ABC):
    """Write three methods to send a run's figures to a place of your own.

    They may raise what they like: `Tracking` then drops the tracker, says so, and training goes on.
    """

    @property
    def name(self) -> str:
        """What a warning calls it."""
        return type(self).__name__

    @abstractmethod
    def config(self, values: Mapping[str, Scalar]) -> None:
        """Take what describes the run. Comes first, and may come again with further keys."""

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take figures of an optimizer step. Steps never go down; one step may come several times with other keys.

        Values may be inf or NaN.
        """

    @abstractmethod
    def close(self) -> None:
        """Write what is not written yet and let go of files, threads and processes. May come twice."""
