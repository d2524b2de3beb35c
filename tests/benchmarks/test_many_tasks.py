"""A thousand tasks over five thousand files: time of `verify --all`, and memory by number of tasks. Asserts no time.

Prints what docs/benchmarks.md states.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.benchmarks.monorepo import monorepo

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
STAGES = ("--stage", "syntax", "--stage", "logic")
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_MIB = 1 << 20


def _run(root: Path, *arguments: str) -> tuple[float, float, str]:
    """Return seconds, peak of the memory of all processes together in MiB (proportional shares), and the last line."""
    command = [sys.executable, "-P", "-m", "verifier", *arguments, *STAGES, "--no-progress"]
    begin = time.perf_counter()
    with subprocess.Popen(command, cwd=root, env=_ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        peak = [0.0]
        watching = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak))
        watching.start()
        out, _ = process.communicate()
        watching.join()
    return time.perf_counter() - begin, peak[0], out.splitlines()[-1]


def _watch(process: psutil.Process, peak: list[float]) -> None:
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        try:
            for one in (process, *process.children(recursive=True)):
                total += one.memory_full_info().pss
        except psutil.Error:
            continue
        peak[0] = max(peak[0], total / _MIB)
        time.sleep(0.2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monorepo")
    files = monorepo(folder, 1000)
    lines = sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.py"))
    print(f"\n1000 tasks over {files} files, {lines} lines, {os.cpu_count()} cores")
    return folder


def test_a_thousand_tasks(root: Path) -> None:
    _run(root, "T0000")  # our own modules are compiled then
    for jobs in ((), ("--jobs", "1")):
        for what in ("first", "again"):
            seconds, peak, said = _run(root, "--all", *jobs)
            print(f"  {what:5s} {' '.join(jobs) or 'all cores':9s} {seconds:6.1f} s, peak {peak:5.0f} MiB; {said[:60]}")


def test_memory_does_not_grow_with_the_number_of_tasks(root: Path) -> None:
    for count in (50, 250, 1000):
        names = [f"T{number:04d}" for number in range(count)]
        seconds, peak, _ = _run(root, *names, "--jobs", "1")
        print(f"  {count:4d} tasks: {seconds:6.1f} s, peak {peak:5.0f} MiB")
