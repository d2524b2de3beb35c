"""Decides how work over many files is spread over processes, so that a file that kills one takes nothing with it."""

from __future__ import annotations

import mmap
import multiprocessing
import signal
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

T = TypeVar("T")
_CHUNKS_EACH = 16
_SLOT = 8  # bytes in which a worker says what it is working on


@dataclass(frozen=True, slots=True)
class Died:
    """The worker did not survive this item."""

    reason: str


@dataclass(slots=True)
class _Worker(Generic[T]):
    process: Any  # a multiprocessing process of the fork context
    connection: Connection
    slot: mmap.mmap
    chunk: list[int]


def can_fork() -> bool:
    """Return whether this platform has cheap copies of a process."""
    return "fork" in multiprocessing.get_all_start_methods()


def map_forked(
    function: Callable[[int], T], count: int, jobs: int, progress: Callable[[str], None]
) -> Iterator[tuple[int, T | Died]]:
    """Yield `(index, function(index))` for every index below `count`, in any order.

    Workers are forked, so they inherit what `function` refers to; only indices and results travel. An item whose
    worker dies yields `Died`, and the rest of its share is given to a new worker. An exception that `function` raises
    is a bug of ours: it ends the worker, and so is reported for its item too.
    """
    if jobs < 2 or count < 2 or not can_fork():
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
            for ready in wait([worker.connection for worker in workers]):
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
    try:
        worker.connection.send(chunk)
    except OSError:  # it died while idle; the next receive says so
        worker.slot[:] = chunk[0].to_bytes(_SLOT, "little")


def _receive(worker: _Worker[T]) -> tuple[list[tuple[int, T | Died]], list[int] | None]:
    """Return what a worker answered; with the items still to do, if it died."""
    try:
        return list(zip(worker.chunk, worker.connection.recv(), strict=True)), None
    except (EOFError, OSError):
        worker.process.join()
        culprit = int.from_bytes(worker.slot[:], "little")
        reason = _reason(worker.process.exitcode)
        worker.connection.close()
        return [(culprit, Died(reason))], [index for index in worker.chunk if index != culprit]


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
    for end in parents_ends:
        end.close()
    while True:
        try:
            chunk = connection.recv()
        except EOFError:
            return
        results = []
        for index in chunk:
            slot[:] = index.to_bytes(_SLOT, "little")
            results.append(function(index))
        connection.send(results)
