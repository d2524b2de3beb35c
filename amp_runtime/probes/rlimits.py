"""Limits that the kernel itself keeps for each process. Never RLIMIT_AS: CUDA reserves far more than it uses."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..wire import Cage

_AFTER_XCPU_S = 5  # a process that survives SIGXCPU is killed by then


def set_limits(cage: Cage) -> None:
    """Lower the limits of this process and of all it starts, as far as the platform has them."""
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_CPU, cage.cpu_s, cage.cpu_s + _AFTER_XCPU_S),
        (resource.RLIMIT_FSIZE, cage.file_bytes, cage.file_bytes),
        (resource.RLIMIT_NOFILE, cage.open_files, cage.open_files),
    ):
        with contextlib.suppress(OSError, ValueError):
            now = resource.getrlimit(kind)
            resource.setrlimit(kind, (_least(soft, now[0]), _least(hard, now[1])))


def limit_processes(count: int) -> bool:
    """Limit processes and threads. Only in a user namespace of our own are they counted apart from the user's."""
    try:
        resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
    except (OSError, ValueError):
        return False
    return _forks_at_most(count)


def _forks_at_most(count: int) -> bool:
    """Try whether the kernel refuses a process above the limit; root is exempt from it."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, count))
    try:
        pid = os.fork()
    except BlockingIOError:
        return True
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return False


def kept(cage: Cage) -> dict[str, bool]:
    """Say which limits hold: by going beyond them where that costs nothing, else by what the kernel has on record."""
    return {
        "core-dumps-off": resource.getrlimit(resource.RLIMIT_CORE)[1] == 0,
        "cpu-time-limited": 0 <= resource.getrlimit(resource.RLIMIT_CPU)[0] <= cage.cpu_s,
        "file-size-limited": _cannot_write_beyond(cage.file_bytes, cage.writable[0]),
        "open-files-limited": _cannot_open_beyond(cage.open_files),
    }


def _cannot_write_beyond(size: int, folder: str) -> bool:
    path = os.path.join(folder, "size")
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(file, b"x", size)
    except OSError:
        return True
    finally:
        os.close(file)
        os.unlink(path)
    return False


def _cannot_open_beyond(count: int) -> bool:
    try:
        os.close(os.dup2(0, count))
    except OSError:
        return True
    return False


def _least(wanted: int, now: int) -> int:
    return wanted if now == resource.RLIM_INFINITY else min(wanted, now)
