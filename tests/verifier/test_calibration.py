"""`verify calibrate` starts a program with its options, and passes on how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from verifier import calibration
from verifier.api import Calibrator, MachineError
from verifier.calibration import CalibrateOptions, as_words, run_calibrate
from verifier.errors import PluginError, UsageError

NOTHING: dict[str, Any] = {
    "preset": None,
    "list_presets": False,
    "device": None,
    "quick": False,
    "operations": (),
    "compiled": False,
    "load": None,
    "skip_platform_check": False,
    "output": None,
    "formats": (),
    "config_file": None,
    "python": Path(sys.executable),
    "quiet": False,
    "no_progress": False,
}


def _options(**given: Any) -> CalibrateOptions:
    return CalibrateOptions(**NOTHING | given)


def _plugins(monkeypatch: pytest.MonkeyPatch, *brought: object) -> None:
    hook = SimpleNamespace(verifier_calibrators=lambda: [list(brought)])
    monkeypatch.setattr(calibration, "load_plugins", lambda: SimpleNamespace(manager=SimpleNamespace(hook=hook)))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "program.py"
    _plugins(monkeypatch, Calibrator(name="ours", program=path))
    monkeypatch.chdir(tmp_path)
    return path


def test_every_option_reaches_the_program_as_it_was_given() -> None:
    given = {"load": Path("a b"), "quick": True, "no_progress": True}
    options = _options(preset="-x", operations=("matmul,conv2d",), formats=("json", "md"), **given)
    assert as_words(options) == [
        "--preset=-x",
        "--operations=matmul,conv2d",
        "--load=a b",
        "--format=json",
        "--format=md",
        "--quick",
        "--no-progress",
    ]


def test_the_program_is_told_the_root_of_the_project(program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (program.parent / "pyproject.toml").write_text("")
    (program.parent / "below").mkdir()
    os.chdir(program.parent / "below")
    program.write_text("import sys; print(sys.argv[1:])")
    assert run_calibrate(_options(quick=True)) == 0
    assert capfd.readouterr().out == f"{['--quick', '--root', str(program.parent)]}\n"


@pytest.mark.parametrize("code", [0, 2, 3, 130])
def test_its_exit_code_is_that_of_the_command(program: Path, code: int) -> None:
    program.write_text(f"raise SystemExit({code})")
    assert run_calibrate(_options()) == code


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import os; os.kill(os.getpid(), 9)", r"ended by signal 9 \(SIGKILL\), perhaps for want of memory"),
        ("raise SystemExit(7)", "by ours failed with exit code 7"),
        ("raise SystemExit(1)", "by ours failed with exit code 1"),
    ],
)
def test_an_end_that_is_no_outcome_is_never_success(program: Path, text: str, says: str) -> None:
    program.write_text(text)
    with pytest.raises(MachineError, match=says):
        run_calibrate(_options())


def test_an_interpreter_that_is_not_there_is_wrong_use(program: Path) -> None:
    with pytest.raises(UsageError, match="there is no such interpreter"):
        run_calibrate(_options(python=Path("nowhere")))
    not_one = program.parent / "text"
    not_one.write_text("")
    with pytest.raises(UsageError, match="cannot be started"):
        run_calibrate(_options(python=not_one))


def test_exactly_one_plugin_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Calibrator(name="one", program=Path("x"))
    for brought, says in (
        ((), "no plugin is installed that measures"),
        ((one, Calibrator(name="two", program=Path("y"))), r"several plugins measure machines \(one, two\)"),
        (("x",), "returned str from verifier_calibrators"),
    ):
        _plugins(monkeypatch, *brought)
        with pytest.raises(PluginError, match=says):
            run_calibrate(_options())


def _verify(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verifier", "calibrate", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_lists_presets_and_refuses_in_one_sentence(tmp_path: Path) -> None:
    listed = _verify(tmp_path, "--list-presets")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "ampere-altra-max" in listed.stdout
    refused = _verify(tmp_path, "--load", "absent.json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("verify: absent.json: there is no such profile")
    unknown = _verify(tmp_path, "--peak-gflops", "500")
    assert unknown.returncode == 2
    assert "--peak-gflops" in unknown.stderr


def interruptible() -> None:
    """Have the next program be interrupted as on a terminal, even where the tests run in the background of a script."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_interrupt_ends_the_program_too(tmp_path: Path) -> None:
    ready, interpreter = tmp_path / "ready", tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\necho $$ > {ready}\nexec sleep 60\n")
    interpreter.chmod(0o755)
    command = [sys.executable, "-m", "verifier", "calibrate", "--python", str(interpreter)]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.PIPE,
        preexec_fn=interruptible,  # noqa: PLW1509
    )
    while not (ready.exists() and ready.read_text().endswith("\n")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30)[1].strip() == b"verify: interrupted"
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(ready.read_text()), 0)
