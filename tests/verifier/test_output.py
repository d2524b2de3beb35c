"""A report goes to its folder, or to a stream that may be closed or full: what is not written is never exit code 0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import run_report, stage_result
from verifier.errors import OutputError
from verifier.model.report import Renderer
from verifier.output import write_report

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this platform has no device that is always full")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.verifier.tasks.T]\ntitle = "t"\nfiles = ["a.py"]\n')
    names = "".join(f"def f{number}():\n    return undefined_{number}\n" for number in range(200))
    (tmp_path / "a.py").write_text(names)  # a report far larger than what a pipe holds
    return tmp_path


def verify(cwd: Path, *arguments: str, **streams: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "verifier", *arguments]
    return subprocess.Popen(command, cwd=cwd, **streams)  # type: ignore[call-overload]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [("check", "a.py", "-q", "--output", "-", "--format", "json"), ("rules", "--format", "json")]
)
def test_a_reader_that_closes_the_pipe_costs_the_exit_code_and_one_sentence(
    project: Path, arguments: tuple[str, ...], unbuffered: str
) -> None:
    """The pipe takes a part and is closed then: an unbuffered stream would take that for all of it."""
    read, write = os.pipe()
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    process = verify(project, *arguments, stdout=write, stderr=subprocess.PIPE, env=environment)
    os.close(write)
    assert os.read(read, 1)
    os.close(read)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (3, b"verify: standard output was closed before all of it was written\n")


@needs_full
@pytest.mark.parametrize("arguments", [("check", "a.py"), ("T", "--stage", "syntax"), ("rules",)])
def test_a_full_disk_behind_standard_output_is_exit_3_and_one_sentence(project: Path, arguments: tuple[str]) -> None:
    with FULL.open("wb") as full:
        process = verify(project, *arguments, stdout=full, stderr=subprocess.PIPE)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert said.decode().splitlines()[-1] == "verify: standard output cannot be written: No space left on device"
    assert "Traceback" not in said.decode()


@needs_full
@pytest.mark.parametrize(("task", "code"), [("T", 1), ("nonsense", 2)])
def test_a_full_disk_behind_standard_error_changes_no_exit_code(project: Path, task: str, code: int) -> None:
    with FULL.open("wb") as full:
        assert verify(project, task, "--stage", "syntax", stdout=subprocess.DEVNULL, stderr=full).wait(60) == code


def test_whoever_ignores_the_end_of_children_gets_a_verdict_all_the_same(project: Path) -> None:
    """A process inherits that from its parent, and then the exit code of no child can be seen."""
    (project / "a.py").write_text("x = 1\n")
    ignore = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", ignore, sys.executable, "-m", "verifier", "T", "--stage", "syntax"]
    command += ["--stage", "integration", "--output", "-", "--format", "json"]
    done = subprocess.run(command, cwd=project, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "PASS"


@pytest.mark.parametrize("name", ["../report.txt", "/report.txt", "report.sha256", ".verify-writing/new", "."])
def test_a_format_writes_only_below_its_folder(tmp_path: Path, name: str) -> None:
    format_ = Renderer(name="x", filename=name, summary="s", render=lambda _report: "text")
    with pytest.raises(OutputError, match="which is no name for a file of a report"):
        write_report(run_report(stage_result()), [format_], tmp_path / "T", ours=True)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_format_that_fails_leaves_the_old_report(tmp_path: Path) -> None:
    good = Renderer(name="x", filename="x.txt", summary="s", render=lambda _report: "good")
    bad = Renderer(name="y", filename="y.txt", summary="s", render=lambda _report: str(1 // 0))
    report = run_report(stage_result())
    assert write_report(report, [good], tmp_path / "T", ours=True) == (tmp_path / "T/x.txt",)
    with pytest.raises(ZeroDivisionError):
        write_report(report, [good, bad], tmp_path / "T", ours=True)
    assert sorted(path.name for path in (tmp_path / "T").iterdir()) == ["report.sha256", "x.txt"]
