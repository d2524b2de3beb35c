"""Decides how work over many files is spread over processes, so that a file that kills one takes nothing with it."""

from __future__ import annotations

import mmap
import multiprocessing
import signal
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from verifier.api import add_notes, may_differ_next_time, taken_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

T = TypeVar("T")
_CHUNKS_EACH = 16
_PR_SET_PDEATHSIG = 1
_SLOT = 8  # bytes in which a worker says what it is working on
_PATIENCE_S = 60.0  # for one item; the slowest real file takes a second
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Died:
    """The worker did not survive this item."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Raised:
    """The function raised: a bug of ours, as text, for not every exception can travel."""

    trace: str


class WorkerError(RuntimeError):
    """An exception that was raised in a worker, with its traceback as text."""


@dataclass(slots=True)
class _Worker(Generic[T]):
    process: Any  # a multiprocessing process of the fork context
    connection: Connection
    slot: mmap.mmap
    chunk: list[int]
    seen_at: int = -1  # the item it was last seen working on, and since when
    since: float = 0.0
    stuck: str = ""


def can_fork() -> bool:
    """Return whether this platform has cheap copies of a process."""
    return "fork" in multiprocessing.get_all_start_methods()


def map_forked(
    function: Callable[[int], T],
    count: int,
    jobs: int,
    progress: Callable[[str], None],
    patience_s: float = _PATIENCE_S,
) -> Iterator[tuple[int, T | Died]]:
    """Yield `(index, function(index))` for every index below `count`, in any order.

    Workers are forked, so they inherit what `function` refers to; only indices and results travel. An item whose
    worker dies, or does not come to an end in time and is killed, yields `Died`, and the rest of its share is given to
    a new worker. Even a single item is given to a worker.

    Raises:
        WorkerError: the function raised.
    """
    if not can_fork():
        for index in range(count):
            yield index, function(index)
        return
    size = max(1, count // (jobs * _CHUNKS_EACH))
    todo = deque(list(range(start, min(start + size, count))) for start in range(0, count, size))
    workers: list[_Worker[T]] = []
    finished = 0
    try:
        while todo or workers:
            while todo and len(workers) < jobs:
                workers.append(_start(function, todo.popleft(), workers))
            answered = wait([worker.connection for worker in workers], timeout=_LOOK_EVERY_S)
            _kill_stuck([worker for worker in workers if worker.connection not in answered], patience_s)
            for ready in answered:
                worker = next(w for w in workers if w.connection is ready)
                results, rest = _receive(worker)
                finished += len(results)
                yield from results
                if rest is not None:
                    workers.remove(worker)
                    if rest:
                        todo.appendleft(rest)
                elif todo:
                    _give(worker, todo.popleft())
                else:
                    workers.remove(worker)
                    _end(worker)
            progress(f"{finished} of {count} files read")
    finally:
        for worker in workers:
            worker.process.kill()
            _end(worker)


class Beside(Generic[T]):
    """One function at work in a copy of this process: what it changes there is lost, what it returns is not.

    A context: the copy is made when it is entered and ended when it is left. Where a copy is not wanted, the function
    is run on entering.
    """

    def __init__(self, function: Callable[[], T], *, wanted: bool) -> None:
        self._function = function
        self._fork = wanted and can_fork()
        self._worker: _Worker[T] | None = None

    def __enter__(self) -> Self:
        if self._fork:
            self._worker = _start(lambda _: self._function(), [0], [])
        else:
            done = self._function()
            self._function = lambda: done
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.process.kill()
            _end(self._worker)

    def result(self) -> T:
        """Wait for what the function returns; where the copy died of it, it is run here.

        Raises:
            WorkerError: the function raised in the copy.
        """
        if self._worker is None:
            return self._function()
        ((_, answer),) = _receive(self._worker)[0]
        return self._function() if isinstance(answer, Died) else answer


def _start(function: Callable[[int], T], chunk: list[int], others: list[_Worker[T]]) -> _Worker[T]:
    context = multiprocessing.get_context("fork")
    slot = mmap.mmap(-1, _SLOT)
    ours, theirs = context.Pipe()
    parents_ends = [ours, *(worker.connection for worker in others)]  # copies that would keep pipes open
    process = context.Process(target=_serve, args=(function, theirs, parents_ends, slot), daemon=True)
    process.start()
    theirs.close()
    worker: _Worker[T] = _Worker(process, ours, slot, [])
    _give(worker, chunk)
    return worker


def _give(worker: _Worker[T], chunk: list[int]) -> None:
    worker.chunk = chunk
    worker.slot[:] = chunk[0].to_bytes(_SLOT, "little")  # what it is blamed for if it dies before it begins
    worker.seen_at, worker.since = chunk[0], time.monotonic()
    with suppress(OSError):  # it died while idle; the next receive says so
        worker.connection.send(chunk)


def _kill_stuck(workers: Iterable[_Worker[T]], patience_s: float) -> None:
    """Kill every worker that has been on one item for too long; the next receive says so."""
    now = time.monotonic()
    for worker in workers:
        index = int.from_bytes(worker.slot[:], "little")
        if index != worker.seen_at:
            worker.seen_at, worker.since = index, now
        elif now - worker.since > patience_s and not worker.stuck:
            worker.stuck = f"it was not done after {patience_s:g} s"
            worker.process.kill()


def _receive(worker: _Worker[T]) -> tuple[list[tuple[int, T | Died]], list[int] | None]:
    """Return what a worker answered; with the items still to do, if it died."""
    try:
        answer = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        culprit = int.from_bytes(worker.slot[:], "little")
        reason = worker.stuck or _reason(worker.process.exitcode)
        may_differ_next_time(f"a worker was ended: {reason}")
        worker.connection.close()
        return [(culprit, Died(reason))], [index for index in worker.chunk if index != culprit]
    if isinstance(answer, _Raised):
        raise WorkerError(answer.trace)
    results, notes = answer
    add_notes(notes)
    return list(zip(worker.chunk, results, strict=True)), None


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


def _end(worker: _Worker[T]) -> None:
    worker.connection.close()
    worker.process.join()


def _serve(
    function: Callable[[int], T], connection: Connection, parents_ends: list[Connection], slot: mmap.mmap
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever interrupts us means the parent, and that ends us
    _end_with_parent()
    for end in parents_ends:
        end.close()
    taken_notes()  # what was noted before is the parent's
    with suppress(EOFError, ConnectionError):  # nobody is there any more who wants an answer
        while True:
            chunk = connection.recv()
            try:
                answer = ForkingPickler.dumps((_results(function, chunk, slot), taken_notes()))
            except Exception:
                answer = ForkingPickler.dumps(_Raised(traceback.format_exc()))
            connection.send_bytes(answer)


def _end_with_parent() -> None:
    """Have the kernel end this worker when its parent is killed; elsewhere it ends when it has done its share."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only a worker needs it

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _results(function: Callable[[int], T], chunk: list[int], slot: mmap.mmap) -> list[T]:
    results = []
    for index in chunk:
        slot[:] = index.to_bytes(_SLOT, "little")
        results.append(function(index))
    return results
