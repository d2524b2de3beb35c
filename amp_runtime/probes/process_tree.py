"""Find and end every process that descends from the harness; on Linux orphans included, for it is their reaper."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_GET_PDEATHSIG = 2
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform.startswith("linux")


def _prctl(option: int, value: int) -> bool:
    if not _LINUX:
        return False
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def adopt_orphans() -> bool:
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: int = signal.SIGKILL) -> bool:
    return _prctl(_PR_SET_PDEATHSIG, number)


def hide(hidden: bool) -> bool:
    """Keep processes of the same user out of this one's memory and descriptors, or let them in again."""
    return _prctl(_PR_SET_DUMPABLE, 0 if hidden else 1)


def dies_with_parent() -> bool:
    """Ask the kernel whether this process is to be killed with its parent."""
    number = ctypes.c_int(0)
    with contextlib.suppress(OSError, AttributeError):
        if _LINUX and ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0) == 0:
            return number.value == signal.SIGKILL
    return False


def orphan_comes_to_us(limit_s: float = 1.0) -> bool:
    """Make an orphan and see whom the kernel gives it to."""
    read_end, write_end = os.pipe()
    us, child = os.getpid(), os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            middle = os.getpid()
            if os.fork() == 0:
                end = time.monotonic() + limit_s
                while os.getppid() == middle and time.monotonic() < end:
                    time.sleep(0.0005)
                os.write(write_end, b"y" if os.getppid() == us else b"n")
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as answer:
        adopted = answer.read() == b"y"
    reap()
    return adopted


def parents() -> dict[int, int]:
    """Return pid -> parent pid of every living process; empty where /proc is not to be had."""
    found: dict[int, int] = {}
    if not _LINUX:
        return found
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state not in (b"Z", b"X"):
                    found[int(name)] = int(parent)
    return found


def descendants(of: int) -> list[int]:
    """Return living descendants, nearest first; zombies count as gone."""
    known = parents()
    found, frontier = [], {of}
    while frontier:
        frontier = {pid for pid, parent in known.items() if parent in frontier and pid not in found}
        found += sorted(frontier)
    return found


def command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(400).split(b"\0")
    except OSError:
        return f"process {pid}"
    return b" ".join(words).decode("utf-8", "backslashreplace").strip() or f"process {pid}"


def offspring() -> list[int]:
    """Collect every child that has ended, and return the living descendants of this process, nearest first.

    Without a child there is no descendant either: orphans become children of this process, or leave its tree. So the
    table of all processes is read only where there is something to find in it.
    """
    return descendants(os.getpid()) if reap() else []


def reap() -> bool:
    """Collect every child that has ended. False: there is no other."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill_descendants(limit_s: float = 5.0) -> bool:
    """SIGKILL all descendants of this process until none is left. False: one of them could not be killed in time."""
    end = time.monotonic() + limit_s
    while left := offspring():
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        reap()
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def printed_to_file(pid: int) -> int:
    """Return how many bytes the process has on stdout and stderr where these are files (pytest's capture)."""
    sizes = {}
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            status = os.stat(f"/proc/{pid}/fd/{descriptor}")
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())
