"""Streams and events of the emulated device: everything is done when a call returns, so nothing waits."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import torch


class Stream:
    """One of the queues of work of a device; here they are all the same."""

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        self.device = _cuda()
        self.device_index = 0
        self.priority = priority
        self.cuda_stream = 0
        self._entered = contextlib.nullcontext()

    def synchronize(self) -> None:
        """Return at once."""

    def query(self) -> bool:
        """Return that all work is done."""
        return True

    def wait_stream(self, stream: Any) -> None:
        """Return at once."""

    def wait_event(self, event: Any) -> None:
        """Return at once."""

    def record_event(self, event: Event | None = None) -> Event:
        """Note the time in an event, a new one if none is given."""
        event = event or Event()
        event.record()
        return event

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Event:
    """A point in the work of a stream."""

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False, **_: Any
    ) -> None:
        self._time: float | None = None

    def record(self, stream: Any = None) -> None:
        """Note the time."""
        self._time = time.perf_counter()

    def query(self) -> bool:
        """Return that the event has passed."""
        return True

    def synchronize(self) -> None:
        """Return at once."""

    def wait(self, stream: Any = None) -> None:
        """Return at once."""

    def elapsed_time(self, end: Event) -> float:
        """Return the milliseconds between two recorded events: those of the CPU.

        Raises:
            RuntimeError: one of them was not recorded.
        """
        if self._time is None or end._time is None:
            raise RuntimeError("Both events must be recorded before calculating elapsed time.")
        return (end._time - self._time) * 1e3


def _cuda() -> Any:
    return torch.device("cuda", 0)
