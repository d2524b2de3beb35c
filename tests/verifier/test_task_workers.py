"""Tasks in copies of this process: everything in order, and who dies takes only its own task along."""

from __future__ import annotations

import os
import signal
import sys
import time

from verifier.task_workers import Ended, run_apart


def _speaking(number: int) -> int:
    time.sleep(0.02 * (number % 3))
    print(f"out {number}")
    print(f"err {number} \ud800", file=sys.stderr)
    return number % 2


def test_what_tasks_write_comes_in_their_order() -> None:
    ended = list(run_apart([lambda number=number: _speaking(number) for number in range(7)], jobs=3))
    assert ended == [Ended(code=n % 2, out=f"out {n}\n", err=f"err {n} \\ud800\n") for n in range(7)]


def test_one_that_dies_is_named_and_the_others_are_run() -> None:
    def die() -> int:
        print("never seen")
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def leave() -> int:
        os._exit(0)

    ended = list(run_apart([lambda: 0, die, lambda: 1, leave, lambda: 0], jobs=2))
    assert [item.code for item in ended] == [0, 3, 1, 3, 0]
    assert [item.died for item in ended] == ["", "signal SIGKILL", "", "exit code 0", ""]


def test_nothing_to_do() -> None:
    assert list(run_apart([], jobs=2)) == []


def test_workers_are_gone_when_nobody_reads_on() -> None:
    running = run_apart([os.getpid, lambda: time.sleep(60) or 0, lambda: time.sleep(60) or 0], jobs=2)
    first = next(running)
    begin = time.monotonic()
    running.close()
    assert first.code != os.getpid()
    assert time.monotonic() - begin < 30
