"""The process that stays outside the cage: it starts the harness, outlives it, and clears away what is left.

The verified code can neither see into it nor signal it where Landlock is active. When the harness is gone, by whatever
hand, everything that descends from it falls to the keeper and is killed; when the verifier is gone, so is all the rest,
the scratch folder included.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from . import namespaces, process_tree

if TYPE_CHECKING:
    from ..wire import Request

_TICK_MS = 50
_HOUR_MS = 3_600_000
_GRACE_S = 2.0  # for a harness that ends its children and itself
_PID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Outside:
    """What the harness may ask of its keeper until it starts work."""

    ask: int
    answer: int

    def map_ids(self) -> bool:
        """Ask for the maps of user numbers of the process that calls this."""
        os.write(self.ask, os.getpid().to_bytes(_PID_BYTES, "little"))
        return os.read(self.answer, 1) == b"y"

    def close(self) -> None:
        os.close(self.ask)
        os.close(self.answer)


def stay_outside(request: Request) -> Outside:
    """Fork. Returns in the child, which becomes the harness; the parent keeps it and never returns."""
    process_tree.adopt_orphans()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the keeper may have to end by the signal that ended the harness
    asked, ask = os.pipe()
    answer, answered = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(asked)
        os.close(answered)
        return Outside(ask, answer)
    for descriptor in (ask, answer, request.channel_fd):
        os.close(descriptor)
    try:
        _keep(pid, asked, answered, request)
    finally:
        os._exit(1)


def _keep(pid: int, asked: int, answered: int, request: Request) -> None:
    serving, tick = True, _TICK_MS
    watched = select.poll()
    watched.register(request.lifeline_fd, 0)  # only its hang-up: what is written there is for the harness
    watched.register(asked, select.POLLIN)
    with contextlib.suppress(OSError, AttributeError):  # without it the end of the harness is seen at the next tick
        watched.register(os.pidfd_open(pid), select.POLLIN)
        tick = _HOUR_MS
    while True:
        ready = dict(watched.poll(tick))
        if request.lifeline_fd in ready:
            _end_everything(pid, request)
        if asked in ready and serving:
            serving = _serve(asked, answered)
            if not serving:
                watched.unregister(asked)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            process_tree.kill_descendants()
            _end_as(status)


def _serve(asked: int, answered: int) -> bool:
    data = os.read(asked, _PID_BYTES)
    if data:
        done = namespaces.write_maps(int.from_bytes(data, "little"))
        os.write(answered, b"y" if done else b"n")
    return bool(data)


def _end_everything(pid: int, request: Request) -> NoReturn:
    end = time.monotonic() + _GRACE_S
    while not os.waitpid(pid, os.WNOHANG)[0] and time.monotonic() < end:
        time.sleep(0.01)
    process_tree.kill_descendants()
    shutil.rmtree(request.outer, ignore_errors=True)  # whoever made it may have been killed
    os._exit(1)


def _end_as(status: int) -> NoReturn:
    """End in the way the harness did, so that whoever waits sees the same."""
    if os.WIFSIGNALED(status):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)
