"""See and end a whole tree of processes from outside: members, memory, survivors."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.api import StageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096  # Windows has static stages only


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One line of the process table. `started` tells a process from a later one of the same number."""

    pid: int
    parent: int
    session: int
    started: float
    resident: int


def table() -> dict[int, Process]:
    """Return every living process; zombies count as gone.

    Raises:
        StageError: the platform has no /proc and psutil is not installed.
    """
    if not sys.platform.startswith("linux"):
        return _table_by_psutil()
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - read ten times a second: paths would take most of the time
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = _stat(name).rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X"):
                    found[int(name)] = Process(
                        pid=int(name),
                        parent=int(fields[1]),
                        session=int(fields[3]),
                        started=float(fields[19]),
                        resident=int(fields[21]) * _PAGE,
                    )
    return found


def _stat(pid: str) -> bytes:
    file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


def _table_by_psutil() -> dict[int, Process]:
    try:
        import psutil  # noqa: PLC0415  only where there is no /proc
    except ImportError:
        raise StageError(
            "running code needs psutil on this platform, to hold the memory limit: pip install psutil"
        ) from None
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = Process(
                    pid=process.pid,
                    parent=process.ppid(),
                    session=os.getsid(process.pid),
                    started=process.create_time(),
                    resident=process.memory_info().rss,
                )
    return found


class _Seen:
    """The table as it was a moment ago: several probes look at it ten times a second each, and reading it costs."""

    _KEPT_S = 0.08

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._table: dict[int, Process] = {}

    def table(self) -> dict[int, Process]:
        with self._lock:
            if time.monotonic() > self._until:
                self._table = table()
                self._until = time.monotonic() + self._KEPT_S
            return self._table


_seen = _Seen()


class Tree:
    """All processes that came from one, remembered even after they have cut every tie to it."""

    def __init__(self, leader: int, marker: str) -> None:
        self._leader = leader
        self._marker = marker
        self._known: dict[int, float] = {}

    def members(self, now: Mapping[int, Process] | None = None) -> list[Process]:
        """Return the living members: descendants of a member, the leader's session, and whoever was one before.

        Args:
            now: the processes among which they are looked for; by default those of this moment.
        """
        now = table() if now is None else now
        members = {
            pid
            for pid, process in now.items()
            if self._leader in (pid, process.session) or self._known.get(pid) == process.started
        }
        frontier = members
        while frontier:
            frontier = {pid for pid, process in now.items() if process.parent in frontier and pid not in members}
            members = members | frontier
        self._known = {pid: now[pid].started for pid in members}
        return [now[pid] for pid in sorted(members)]

    def use(self, limit: int) -> tuple[int, int]:
        """Return bytes in use and how many processes there are.

        Pages shared by several members are counted once where that decides about the limit.
        """
        members = self.members(_seen.table())
        resident = sum(process.resident for process in members)
        if resident > limit:
            resident = sum(_proportional(process) for process in members)
        return resident, len(members)

    def kill(self, limit_s: float = 5.0) -> list[int]:
        """SIGKILL every member until none is left; return the numbers of those that would not die."""
        end = time.monotonic() + limit_s
        while left := self._with_strays():
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._leader, os.WNOHANG)
            if time.monotonic() > end:
                return left
            time.sleep(0.01)
        return []

    def _with_strays(self) -> list[int]:
        members = {process.pid for process in self.members()}
        return sorted(members | self._strays())

    def _strays(self) -> set[int]:
        return marked(self._marker)


def marked(marker: str) -> set[int]:
    """Return processes that carry the marker in their environment; on Linux only."""
    if not sys.platform.startswith("linux"):
        return set()
    found = set()
    for pid in table():
        with contextlib.suppress(OSError):
            if pid != os.getpid() and marker.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.add(pid)
    return found


def kill_marked(marker: str, limit_s: float = 5.0) -> None:
    """SIGKILL every process that carries the marker until none is left, or for `limit_s` seconds."""
    end = time.monotonic() + limit_s
    while (left := marked(marker)) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _proportional(process: Process) -> int:
    """Return resident bytes with each shared page divided among those who share it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return process.resident
