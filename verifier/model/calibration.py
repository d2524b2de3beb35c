"""What measures a machine: a program that the core starts and asks nothing else of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrator:
    """A program that measures a machine, written for any interpreter with PyTorch, whatever else that has.

    It is run as `PYTHON program OPTIONS --root ROOT`, with the options of `verify calibrate`. Its standard output and
    error are the user's, and its exit code is the command's: 0 done, 2 wrong use, 3 it failed, 130 interrupted.

    Args:
        name: for messages.
        program: a Python file.
    """

    name: str
    program: Path
