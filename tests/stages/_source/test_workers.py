"""A worker that dies takes only its own item with it."""

from __future__ import annotations

import faulthandler
import os
import signal

import pytest

from stages._source.workers import Died, map_forked

COUNT = 100


def silent(_line: str) -> None:
    return None


def square(index: int) -> int:
    return index * index


@pytest.mark.parametrize("jobs", [1, 2, 3, 200])
def test_every_item_comes_back_once(jobs: int) -> None:
    results = list(map_forked(square, COUNT, jobs, silent))
    assert sorted(results) == [(index, index * index) for index in range(COUNT)]


def test_an_item_that_kills_its_worker_is_named_and_the_others_are_kept() -> None:
    def fragile(index: int) -> int:
        if index in (7, 8, 60):
            faulthandler.disable()  # the child's traceback would only confuse
            os.kill(os.getpid(), signal.SIGSEGV)
        return index

    results = dict(map_forked(fragile, COUNT, 2, silent))
    assert {index: result for index, result in results.items() if isinstance(result, Died)} == {
        index: Died("signal SIGSEGV") for index in (7, 8, 60)
    }
    assert all(results[index] == index for index in range(COUNT) if index not in (7, 8, 60))


def test_an_early_exit_is_named_too() -> None:
    def leaving(index: int) -> int:
        if index == 3:
            os._exit(0)
        return index

    assert dict(map_forked(leaving, 5, 2, silent))[3] == Died("exit code 0")


def test_nothing_to_do_is_done() -> None:
    assert list(map_forked(square, 0, 2, silent)) == []


def test_progress_counts_up_to_all() -> None:
    lines: list[str] = []
    list(map_forked(square, COUNT, 2, lines.append))
    assert lines[-1] == f"{COUNT} of {COUNT} files read"
