"""Decides when a file or folder is certainly the one that was looked at before, without reading it again."""

from __future__ import annotations

import os
import stat
import time

# Size, time of change of the content, time of change of anything, number and device. Whoever sets the first time back
# cannot set back the second, where the system keeps it.
Stamp = tuple[int, int, int, int, int]
_TICK_NS = 2_000_000_000  # the coarsest clock of a file system in use, FAT's


def stamp_of(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def settled(status: os.stat_result) -> Stamp | None:
    """Return the stamp of what was looked at just now; None where a change in this moment might not alter it."""
    stamp = stamp_of(status)
    return stamp if max(stamp[1], stamp[2]) < time.time_ns() - _TICK_NS else None


def kind_of(path: str) -> str:
    """Return "d" for a folder, "f" for a regular file, "o" for anything else, "" for nothing; links are followed."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - thousands of them
    except (OSError, ValueError):
        return ""
    return "d" if stat.S_ISDIR(mode) else "f" if stat.S_ISREG(mode) else "o"
