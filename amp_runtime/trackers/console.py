"""Figures as lines for a person who watches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from amp_runtime.trackers.contract import Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amp_runtime.trackers.contract import Scalar


class ConsoleTracker(Tracker):
    """Write `step 12  train/loss 0.5  train/lr 0.001` lines.

    Args:
        stream: where to; None for stderr as it is at the time of each line.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def config(self, values: Mapping[str, Scalar]) -> None:
        self._write("config", [f"{name} {value}" for name, value in values.items()])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._write(f"step {step}", [f"{name} {value:.6g}" for name, value in values.items()])

    def close(self) -> None:
        """Let the stream be: it is not ours."""

    def _write(self, head: str, parts: list[str]) -> None:
        stream = self._stream or sys.stderr
        stream.write("  ".join([head, *parts]) + "\n")
        stream.flush()
