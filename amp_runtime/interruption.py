"""Ctrl-C during training: the first one asks for an end after the current step, the second one aborts at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_MESSAGE = b"\nCtrl-C: training ends after this step; press it again to abort at once\n"
_STDERR = 2


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call `interrupt` at the first SIGINT in the body; the second one raises KeyboardInterrupt, as without us.

    Signals reach the main thread only, so elsewhere this does nothing. Nor does it where the program has given SIGINT
    a meaning of its own.
    """
    usual = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return

    def first(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, usual)
        # A handler may run in the middle of a write to sys.stderr, which cannot be entered twice.
        os.write(_STDERR, _MESSAGE)
        interrupt()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
