"""Whichever system call of a report fails: exit code 3, one sentence, and the old report stands or the new one."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from tests.kills.arming import MOST, Arm
from tests.kills.starting import Warm
from tests.kills.tiny import Tiny

# By kind: the error, how many such calls a report of four files takes at least, and one of the functions.
FILES = {
    "open": (errno.EMFILE, 10, "open64"),
    "write": (errno.ENOSPC, 5, "write"),
    "fsync": (errno.EIO, 6, "fsync"),
    "rename": (errno.EIO, 1, "renameat2"),
}


def fail_every_call(tiny: Tiny, shim: str, kind: str, error: int, **environment: str) -> tuple[set[str], list[int]]:
    """Verify again and again, the n-th call failing; return the functions that failed, and which reports stood then."""
    under = tiny.root / ".verify" if tiny.reports.is_relative_to(tiny.root) else tiny.reports
    arm = Arm(under, tiny.root.parent / "journal")
    failed, stood, whole = set(), [], 0
    with Warm(tiny, LD_PRELOAD=shim, **environment) as warm:
        assert warm.start(1_000_000).wait() == 0
        for n in range(1, MOST):
            number = 1_000_000 + n
            code = warm.start(number, arm.at(kind, n, error)).wait()
            calls, report = arm.calls(), tiny.report()
            said = warm.stderr.read_text()
            if calls.failed is None:
                assert (code, report.run, said) == (0, number, "")
                return failed, stood
            assert (code, said.count("\n"), said[:8]) == (3, 1, "verify: "), (calls, said)
            assert os.strerror(error) in said
            assert report.run in (number, whole or 1_000_000)
            whole = report.run
            stood.append(number - report.run)
            failed.add(calls.failed)
    raise AssertionError(f"more than {MOST} calls of {kind}")


@pytest.mark.parametrize("kind", FILES)
def test_a_call_that_fails_where_the_folder_is_ours(folder: Path, shim: str, kind: str) -> None:
    tiny = Tiny(folder, "idle")
    error, least, function = FILES[kind]
    failed, stood = fail_every_call(tiny, shim, kind, error)
    assert function in failed
    assert len(stood) >= least
    assert [path.name for path in tiny.reports.parent.iterdir()] == ["T"]
    assert {path.name for path in tiny.reports.iterdir()} == tiny.names


def test_a_move_that_fails_where_the_kernel_cannot_exchange_folders(folder: Path, shim: str) -> None:
    tiny = Tiny(folder, "idle")
    failed, stood = fail_every_call(tiny, shim, "rename", errno.EIO, NO_EXCHANGE="1")
    assert (failed, stood) == ({"rename"}, [1, 2])  # the old one aside, the new one in its place
    assert [path.name for path in tiny.reports.parent.iterdir()] == ["T"]


@pytest.mark.parametrize("kind", FILES)
def test_a_call_that_fails_in_a_folder_with_other_peoples_files(folder: Path, shim: str, kind: str) -> None:
    (folder / "out").mkdir()
    tiny = Tiny(folder, "idle", output=folder / "out")
    (tiny.reports / "notes.txt").write_text("mine")
    error, least, _ = FILES[kind]
    failed, stood = fail_every_call(tiny, shim, kind, error)
    assert "renameat2" not in failed
    assert len(stood) >= least
    assert {path.name for path in tiny.reports.iterdir()} == {*tiny.names, "notes.txt"}


@pytest.mark.parametrize(
    ("kind", "error", "function"), [("fork", errno.EAGAIN, "vfork"), ("wait", errno.ECHILD, "waitpid")]
)
def test_a_process_that_cannot_be_started_or_awaited(
    folder: Path, shim: str, kind: str, error: int, function: str
) -> None:
    tiny = Tiny(folder)
    failed, stood = fail_every_call(tiny, shim, kind, error)
    assert function in failed
    assert 0 in stood  # a report that blocks was written: the stage could not work
    assert list(tiny.scratch.iterdir()) == []


def test_a_harness_that_cannot_start_a_process_says_so(folder: Path, shim: str) -> None:
    """The interpreter of the project is a script here, which has a fork of the harness fail: its last is the unit's."""
    tiny, arm, python = Tiny(folder), Arm(folder, folder / "journal"), folder / "python"

    def verify(n: int) -> tuple[int, str]:
        preload = f'LD_PRELOAD={shim} FOLLOW=1 FAIL_CALLS="{arm.at("fork", n, errno.EAGAIN)}"'
        python.write_text(f'#!/bin/sh\n{preload} exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        code, _, said = tiny.run(1, "--python", str(python))
        return code, said

    assert verify(MOST) == (0, "")
    last = len(arm.calls().functions)
    for n, reason in ((1, "it cannot be shut in"), (last, "no process can be started for a")):
        code, said = verify(n)
        sentence = f"the harness cannot go on: {reason}: Resource temporarily unavailable"
        assert said == f"verify: stage stub could not finish: {sentence}; this says nothing about the code\n"
        assert (code, tiny.report().verdict, tiny.report().evidence) == (3, "BLOCK", sentence)
