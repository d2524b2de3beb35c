"""A probe runs in any Python that is new enough, leaves no file behind, and says so where it cannot start."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import DEFAULT, Mock

import pytest

from amp_runtime.wire import ModuleUnit
from stages._probe import client
from stages._probe.client import interpreter, run_probe
from stages._probe.limits import Limits
from stages._probe.work import Work, working_copy
from verifier.api import MachineError, StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stages._probe.workcopy import WorkCopy

ROOT = Path(__file__).parents[3]
LIMITS = Limits(time_s=20.0, phase_s=5.0, memory_bytes=1 << 33)


def imports(root: Path, text: str, python: Path | None = None, **work: object) -> Work:
    (root / "a.py").write_text(text, encoding="utf-8")
    return Work(
        probe="imports",
        root=root,
        python=python or Path(sys.executable),
        paths=(str(root),),
        modules=(ModuleUnit(name="a", file="a.py"),),
        **work,  # type: ignore[arg-type]
    )


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_probe_that_ends_is_complete_and_leaves_no_scratch(tmp_path: Path, scratch: Path) -> None:
    text = "import os, pathlib, tempfile\nos.chmod(tempfile.mkdtemp(), 0)\npathlib.Path.home().joinpath('x').touch()\n"
    report = run_probe(imports(tmp_path, text), LIMITS)
    assert (report.ending, report.units["a"].result.status) == ("complete", "ok")
    assert report.survivors == ()
    assert report.layers["orphans-adopted"] is True
    assert list(scratch.iterdir()) == []


def test_the_request_is_gone_before_the_project_runs(tmp_path: Path, scratch: Path) -> None:
    text = "import pathlib\nassert not list(pathlib.Path.home().parent.glob('*request*'))\n"
    assert run_probe(imports(tmp_path, text), LIMITS).units["a"].result.status == "ok"


def test_an_interpreter_without_any_of_our_packages_will_do(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    report = run_probe(imports(tmp_path, "import sys\n", python, needs=("torch",), preload=("torch",)), LIMITS)
    assert report.units["a"].result.status == "ok"
    assert "No module named 'torch'" in report.hello.missing["torch"]


def test_a_program_that_is_no_python_is_an_error_that_says_what_it_printed(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho this is no python\nexit 3\n", encoding="utf-8")
    fake.chmod(0o755)
    with pytest.raises(StageError, match="this is no python"):
        run_probe(imports(tmp_path, "", fake), LIMITS)


def test_an_interpreter_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="cannot start"):
        run_probe(imports(tmp_path, "", tmp_path / "a.py"), LIMITS)


def test_a_system_that_does_not_say_how_the_harness_ended_is_at_fault_itself(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = ChildProcessError(errno.ECHILD, "No child processes")
    answers = itertools.chain([(0, 0), lost], itertools.repeat(DEFAULT))  # then the real call
    monkeypatch.setattr(client, "working_copy", Mock(side_effect=copied_before(answers, monkeypatch)))
    with pytest.raises(MachineError, match="the end of the harness cannot be seen: No child processes"):
        run_probe(imports(tmp_path, ""), LIMITS)
    assert list(scratch.iterdir()) == []


def copied_before(answers: Iterator[object], monkeypatch: pytest.MonkeyPatch) -> Callable[..., WorkCopy]:
    """Copy as usual, and only then let `os.waitpid` give these answers: git has been waited for by then."""

    def copied(work: Work, folder: Path) -> WorkCopy:
        copy = working_copy(work, folder)
        monkeypatch.setattr(os, "waitpid", Mock(wraps=os.waitpid, side_effect=answers))
        return copy

    return copied


def test_progress_says_what_is_running(tmp_path: Path) -> None:
    said: list[str] = []
    run_probe(imports(tmp_path, "import time\ntime.sleep(0.3)\n"), LIMITS, said.append)
    assert "a: import" in said


def test_the_interpreter_is_the_configured_one_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    assert interpreter("python", tmp_path) == tmp_path / "python"
    assert interpreter(None, tmp_path) == Path(sys.executable)
    with pytest.raises(StageError, match="does not exist"):
        interpreter("gone/python", tmp_path)


def test_nothing_survives_when_the_verifier_itself_is_killed(tmp_path: Path) -> None:
    mark = secrets.token_hex(8)
    (tmp_path / "a.py").write_text(
        "import subprocess, sys, time\n"
        f"program = [sys.executable, '-c', 'import time; time.sleep(600)', '{mark}']\n"
        "subprocess.Popen(program, start_new_session=True)\n"
        "time.sleep(600)\n",
        encoding="utf-8",
    )
    code = (
        "import sys; from pathlib import Path; from amp_runtime.wire import ModuleUnit\n"
        "from stages._probe.client import run_probe; from stages._probe.limits import Limits\n"
        "from stages._probe.work import Work\n"
        f"root = Path({str(tmp_path)!r})\n"
        "work = Work(probe='imports', root=root, python=Path(sys.executable), paths=(str(root),), "
        "modules=(ModuleUnit(name='a', file='a.py'),))\n"
        "run_probe(work, Limits(time_s=60.0, phase_s=60.0, memory_bytes=1 << 33))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    verifier = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    until(lambda: holding(mark))
    verifier.kill()
    verifier.wait()
    until(lambda: not holding(mark))
    until(lambda: not list(tmp_path.glob("verify-*")))


def holding(mark: str) -> bool:
    """Say whether a living process has the mark in its command line."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark.encode() in (entry / "cmdline").read_bytes():
                return True
    return False


def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
