"""Run one piece of project code in a forked process, watch it, and say how it ended."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..wire import Failure, Status, UnitResult, from_json
from . import process_tree
from .child import Unit, live
from .confine import confine_unit
from .emit import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..wire import Request
    from .emit import Writer
    from .failure import Project

_STACKED = ("timeout", "signal", "exited")
_TICK_S = 0.05
_KILL_MARGIN_S = 1.0  # after the phase limit, so that the child's own watchdog can dump its stacks first
_LEAVE_GRACE_S = 2.0  # for helpers that end by themselves once their parent is gone
_RECORD_LIMIT = 8 << 20
_STRAYS = 20  # that are named


class VerifierGoneError(Exception):
    """The process that asked for this run no longer exists, or asked to stop."""


class NoProcessError(Exception):
    """The system gives no process to run project code in."""


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What is known about the running child; grows with its records."""

    nonce: str
    deadline: float
    phase: str = "start"
    phase_since: float = field(default_factory=time.monotonic)
    failed_in: str | None = None
    ended: bool = False
    forged: int = 0
    strays: tuple[str, ...] = ()
    failure: Failure | None = None
    buffer: bytearray = field(default_factory=bytearray)


class Supervisor:
    """Runs units one after another and relays their evidence under the nonce of the run."""

    def __init__(self, request: Request, channel: Writer, project: Project) -> None:
        self._request = request
        self._channel = channel
        self._project = project
        self._deadline = time.monotonic() + request.limit_s

    def out_of_time(self) -> bool:
        return time.monotonic() > self._deadline

    def run(self, unit: Unit) -> UnitResult:
        self._channel.send("begin", unit=unit.name)
        started = time.monotonic()
        watch = _Watch(nonce=secrets.token_hex(16), deadline=self._deadline)
        dump_path = os.path.join(self._request.scratch, f"stacks-{secrets.token_hex(8)}")
        read_end, write_end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            raise NoProcessError(f"no process can be started for {unit.name}: {error.strerror or error}") from None
        if pid == 0:
            try:
                for descriptor in (read_end, self._request.channel_fd, self._request.lifeline_fd):
                    os.close(descriptor)
                confine_unit(self._request.cage)
                live(unit, write_end, watch.nonce, dump_path, self._project, self._limits())
            finally:
                os._exit(1)  # a unit never goes on as a second harness
        os.close(write_end)
        try:
            status, code = self._watch(pid, read_end, watch)
        finally:
            os.close(read_end)
        ended = time.monotonic()
        survivors = self._clear(pid, wait=status == "ok")
        text = _read(dump_path)
        result = UnitResult(
            unit=unit.name,
            status=status,
            phase=watch.failed_in or watch.phase,
            phase_s=ended - watch.phase_since,
            out_of_time=status == "timeout" and ended > self._deadline,
            duration_s=ended - started,
            code=code,
            failure=watch.failure,
            stack=self._project.stack(text) if status in _STACKED else (),
            stack_text=text[:4000] if status in _STACKED else "",
            survivors=survivors if status == "ok" else (),
            forged=watch.forged,
            strays=watch.strays,
        )
        self._channel.send("unit", value=result)
        return result

    def _limits(self) -> tuple[float, float]:
        return self._request.phase_limit_s, max(0.1, self._deadline - time.monotonic())

    def _watch(self, pid: int, read_end: int, watch: _Watch) -> tuple[Status, int]:
        """Wait for the child or a limit, whichever comes first."""
        os.set_blocking(read_end, False)
        with _end_of(pid) as ends:
            return self._wait(pid, read_end, watch, ends)

    def _wait(self, pid: int, read_end: int, watch: _Watch, ends: list[int]) -> tuple[Status, int]:
        lifeline = self._request.lifeline_fd
        watched = [read_end, lifeline, *ends]
        while True:
            ready, _, _ = select.select(watched, [], [], _TICK_S)
            if lifeline in ready:
                raise VerifierGoneError
            if read_end in ready and not self._drain(read_end, watch):
                watched.remove(read_end)
            ended, wait_status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._drain(read_end, watch)
                return _how_it_ended(wait_status, watch)
            if limit := self._limit_passed(pid, watch):
                process_tree.kill_group(pid)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                self._drain(read_end, watch)
                return limit, 0

    def _limit_passed(self, pid: int, watch: _Watch) -> Status | None:
        now = time.monotonic()
        until = min(watch.phase_since + self._request.phase_limit_s, watch.deadline)
        if now > until + _KILL_MARGIN_S:
            return "timeout"
        if process_tree.printed_to_file(pid) > self._request.flood_bytes or len(watch.buffer) > _RECORD_LIMIT:
            return "flood"
        return None

    def _drain(self, read_end: int, watch: _Watch) -> bool:
        """Take in what the child has written. False: nobody can write any more."""
        while True:
            try:
                data = os.read(read_end, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            watch.buffer += data
            *lines, rest = watch.buffer.split(b"\n")
            watch.buffer = bytearray(rest)
            for line in lines:
                self._take(bytes(line), watch)
            if len(watch.buffer) > _RECORD_LIMIT:
                return True

    def _take(self, line: bytes, watch: _Watch) -> None:
        try:
            record = decode(line.decode("ascii"))
            if not isinstance(record, dict) or record.pop("n", None) != watch.nonce:
                raise ValueError("not written by the harness")
            kind = record.pop("k")
            if kind == "raised":
                watch.failure, watch.failed_in = from_json(Failure, record["value"]), watch.phase
            elif kind == "end":
                watch.ended = True
            elif kind == "strays":
                watch.strays = tuple(str(name) for name in record["modules"])[:_STRAYS]
            elif kind == "phase":
                watch.phase, watch.phase_since = str(record["name"]), time.monotonic()
                self._channel.send("phase", name=watch.phase)
            else:
                self._channel.send("item", type=record["type"], value=record["value"])
        except (ValueError, KeyError):
            watch.forged += 1

    def _clear(self, pid: int, *, wait: bool) -> tuple[str, ...]:
        """End everything the child left behind, and say what that was."""
        end = time.monotonic() + (_LEAVE_GRACE_S if wait else 0.0)
        while (left := process_tree.offspring()) and time.monotonic() < end:
            time.sleep(0.02)
        names = tuple(process_tree.command_line(survivor) for survivor in left)
        process_tree.kill_group(pid)
        process_tree.kill_descendants()
        return names


@contextlib.contextmanager
def _end_of(pid: int) -> Iterator[list[int]]:
    """Give what becomes readable when a child ends; without it, its end is seen at the next tick."""
    with contextlib.ExitStack() as stack:
        ends = []
        with contextlib.suppress(OSError, AttributeError):  # an older kernel, or not Linux
            ends.append(os.pidfd_open(pid))
            stack.callback(os.close, ends[0])
        yield ends


def _how_it_ended(wait_status: int, watch: _Watch) -> tuple[Status, int]:
    if os.WIFSIGNALED(wait_status):
        return "signal", os.WTERMSIG(wait_status)
    code = os.WEXITSTATUS(wait_status)
    if not watch.ended or code:
        return "exited", code
    return ("raised" if watch.failure else "ok"), 0


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="backslashreplace") as file:
        return file.read(1 << 16)
    return ""
