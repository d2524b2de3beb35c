"""Runs tasks that are only read in several copies of this process; what they print comes in the order of the tasks."""

from __future__ import annotations

import gc
import io
import itertools
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from verifier.errors import ExitCode

COLLECT_EVERY = 8  # tasks; looking for circles costs as much as a twentieth of one
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a task ended and what it wrote; `died`: its process was ended before it could say anything."""

    code: int
    out: str = ""
    err: str = ""
    died: str = ""


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    task: int = -1


def can_fork() -> bool:
    """Say whether this platform has cheap copies of a process."""
    return "fork" in multiprocessing.get_all_start_methods()


def run_apart(runs: Sequence[Callable[[], int]], jobs: int) -> Iterator[Ended]:
    """Yield how each of the calls ended, in their order, while others are at work; each returns an exit code.

    Workers are forked: they see what this process has read, and what they change of it nobody else sees.
    """
    todo = deque(range(len(runs)))
    done: dict[int, Ended] = {}
    workers: list[_Worker] = []
    following = 0
    try:
        while todo or workers:
            while todo and len(workers) < jobs:
                workers.append(_start(runs, workers))
                _give(workers[-1], todo)
            for ready in wait([worker.connection for worker in workers]):
                worker = next(one for one in workers if one.connection is ready)
                done[worker.task] = _answer(worker)
                if done[worker.task].died or not todo:
                    workers.remove(worker)
                    _end(worker)
                else:
                    _give(worker, todo)
            while following in done:
                yield done.pop(following)
                following += 1
    finally:
        for worker in workers:
            worker.process.kill()
            _end(worker)


def _start(runs: Sequence[Callable[[], int]], others: Sequence[_Worker]) -> _Worker:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    ends = [ours, *(worker.connection for worker in others)]  # copies that would keep pipes open
    process = context.Process(target=_serve, args=(runs, theirs, ends))
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, todo: deque[int]) -> None:
    worker.task = todo.popleft()
    with suppress(OSError):  # it died while idle; asking for its answer says so
        worker.connection.send(worker.task)


def _answer(worker: _Worker) -> Ended:
    try:
        answer: Ended = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        return Ended(code=ExitCode.INTERNAL, died=_reason(worker.process.exitcode))
    return answer


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _end(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.join()


def _serve(runs: Sequence[Callable[[], int]], connection: Connection, ends: Sequence[Connection]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever interrupts us means the parent, and that ends us
    _end_with_parent()
    for end in ends:
        end.close()
    with suppress(EOFError, ConnectionError):  # nobody is there any more who wants an answer
        for count in itertools.count(1):
            connection.send(_captured(runs[connection.recv()]))
            if count % COLLECT_EVERY == 0:
                gc.collect()


def _captured(run: Callable[[], int]) -> Ended:
    outer = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", newline="") for _ in outer)
    try:
        code = run()
        return Ended(code=int(code), out=_written(sys.stdout), err=_written(sys.stderr))
    finally:
        sys.stdout, sys.stderr = outer


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def _end_with_parent() -> None:
    """Have the kernel end this worker when its parent is killed; elsewhere it ends when it has done its share."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only a worker needs it

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
