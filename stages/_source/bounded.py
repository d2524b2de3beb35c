"""Decides what a program of others may use while it reads files for us, and how it is ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LOOK_EVERY_S = 0.005  # it runs beside other work; this only delays its result


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one call may use; `answers` are the exit codes with which it has done its work."""

    time_s: float
    memory_bytes: int
    output_bytes: int
    answers: tuple[int, ...] = (0, 1)


def run_bounded(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    bounds: Bounds,
    *,
    name: str,
    stopped: threading.Event | None = None,
    complaint: IO[bytes] | None = None,
) -> tuple[bytes, str]:
    """Return what a program wrote to standard output, and in a few words how it died if it did.

    Args:
        name: of the program, for those words.
        stopped: once it is set, the program is ended.
        complaint: takes its standard error.
    """
    stopped = stopped or threading.Event()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=complaint or subprocess.DEVNULL,
        )
        _limit(process.pid, bounds)
        try:
            end = time.monotonic() + bounds.time_s
            while (code := process.poll()) is None:
                if time.monotonic() > end:
                    return b"", f"{name} did not finish it within {bounds.time_s:.0f} s"
                if stopped.wait(_LOOK_EVERY_S):
                    return b"", "it was stopped before it was done"
        finally:
            process.kill()
            process.wait()
        if code not in bounds.answers:
            return b"", _death(code, name)
        output.seek(0)
        return output.read(), ""


def _limit(pid: int, bounds: Bounds) -> None:
    if sys.platform != "linux":
        return  # elsewhere another process cannot be limited from outside; the time limit still holds
    import resource  # noqa: PLC0415 - not on Windows

    try:
        resource.prlimit(pid, resource.RLIMIT_AS, (bounds.memory_bytes, bounds.memory_bytes))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (bounds.output_bytes, bounds.output_bytes))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
    except (ProcessLookupError, PermissionError):
        return  # it has ended already


def _death(code: int, name: str) -> str:
    if code >= 0:
        return f"{name} aborted on it" if code == 128 + signal.SIGABRT else f"{name} failed on it with exit code {code}"
    said = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name} died of {said} on it"
