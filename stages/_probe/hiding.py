"""Close this process to others of the same user while it runs their code: its environment may hold secrets."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_DUMPABLE = 4
_lock = threading.Lock()
_runs = 0


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Let nobody but root look into this process, until the last of the runs that are under way is over.

    Only Linux has this; whether it holds is tried, as every layer is.
    """
    global _runs  # noqa: PLW0603 - one process, one state, several threads
    with _lock:
        _runs += 1
        _dumpable(False)
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if _runs == 0:
                _dumpable(True)


def _dumpable(on: bool) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, int(on), 0, 0, 0)
