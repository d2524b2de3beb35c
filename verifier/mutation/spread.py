"""Does the same for many mutants, in several processes where the platform has cheap copies of this one."""

from __future__ import annotations

import gc
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_work: list[Any] = []  # what forked workers inherit: the function and the items


def spread(work: Callable[[T], R], items: Sequence[T], jobs: int) -> Iterator[R]:
    """Yield `work(item)` for each item, in their order.

    Raises:
        concurrent.futures.process.BrokenProcessPool: a worker was killed.
    """
    if jobs < 2 or len(items) < 2 or not sys.platform.startswith("linux"):
        yield from (_tidied(work, item) for item in items)
        return
    _work[:] = [work, items]
    try:
        with ProcessPoolExecutor(min(jobs, len(items)), multiprocessing.get_context("fork")) as pool:
            yield from pool.map(_of_number, range(len(items)))
    finally:
        _work.clear()


def _of_number(number: int) -> Any:
    work, items = _work
    return _tidied(work, items[number])


def _tidied(work: Callable[[T], R], item: T) -> R:
    """Collect what a run leaves in circles: the command line runs without collector, for one run only."""
    try:
        return work(item)
    finally:
        gc.collect()
