"""A worker that dies takes only its own item with it."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stages._source.workers import Beside, Died, WorkerError, map_forked

COUNT = 100
ROOT = Path(__file__).parents[3]


def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom stages._source.workers import map_forked\n"
        "def work(index):\n    Path(sys.argv[1], str(os.getpid())).touch()\n    time.sleep(600)\n"
        "list(map_forked(work, 2, 2, lambda _line: None))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE)
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    parent.kill()
    _, said = parent.communicate(timeout=10)  # standard error is closed when the last of them has ended
    assert said == b""
    assert not any(Path("/proc", path.name, "exe").exists() for path in tmp_path.iterdir())


def test_a_result_that_cannot_travel_is_a_bug_of_ours_and_said() -> None:
    with pytest.raises(WorkerError, match="pickle"):
        list(map_forked(lambda _index: lambda: None, 1, 1, silent))


def test_nothing_to_do_is_done() -> None:
    assert list(map_forked(square, 0, 2, silent)) == []


def test_progress_counts_up_to_all() -> None:
    lines: list[str] = []
    list(map_forked(square, COUNT, 2, lines.append))
    assert lines[-1] == f"{COUNT} of {COUNT} files read"


def test_what_another_process_works_out_comes_back() -> None:
    with Beside(lambda: (os.getpid(), "done"), wanted=True) as beside:
        process, word = beside.result()
    assert word == "done"
    assert process != os.getpid()


def test_what_is_not_to_be_spread_is_done_here_and_at_once() -> None:
    order = []
    with Beside(lambda: order.append("done"), wanted=False) as beside:
        order.append("inside")
        beside.result()
    assert order == ["done", "inside"]


def test_what_kills_its_process_is_done_here() -> None:
    here = os.getpid()
    with Beside(lambda: "done" if os.getpid() == here else os._exit(9), wanted=True) as beside:
        assert beside.result() == "done"


def test_an_exception_of_the_other_process_is_not_swallowed() -> None:
    with Beside(lambda: 1 // 0, wanted=True) as beside, pytest.raises(WorkerError, match="ZeroDivisionError"):
        beside.result()


def test_work_that_nobody_waits_for_any_more_is_ended() -> None:
    begin = time.monotonic()
    with Beside(lambda: time.sleep(60), wanted=True):
        pass
    assert time.monotonic() - begin < 20
