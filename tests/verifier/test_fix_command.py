"""`verify fix`: what is written, what is said, and the exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from verifier.cli import main

BROKEN = """\
import torch


def train(model, loader, optimizer):
    scaler = torch.amp.GradScaler("cuda")
    for batch in loader:
        with torch.autocast("cuda"):
            loss = model(batch)
        scaler.scale(loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
"""
MENDED = BROKEN.replace(
    "        torch.nn.utils.clip", "        scaler.unscale_(optimizer)\n        torch.nn.utils.clip"
)
BLOCKED = Path(__file__).parents[1] / "projects" / "t035_blocked"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Verify = Callable[..., Done]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Return what runs a command in this process, in the folder given first."""

    def run(cwd: Path, *arguments: str) -> Done:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr("sys.argv", ["verify", *arguments])
        code = main()
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.verifier.tasks.T1]\ntitle = "t"\nfiles = ["train.py"]\n')
    (tmp_path / "train.py").write_text(BROKEN)
    return tmp_path


def test_it_fixes_and_the_exit_code_is_the_verdict_of_what_remains(project: Path, verify: Verify) -> None:
    done = verify(project, "fix", "train.py", "--no-progress")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "train.py").read_text() == MENDED
    assert done.stdout.splitlines() == [
        "train.py:10: AMP103: inserts `scaler.unscale_(optimizer)` before the clipping",
        "fixed 1 finding in 1 file",
        "check: PASS 100/100, 0 findings",
    ]
    assert not (project / ".verify").exists()
    again = verify(project, "fix", "train.py", "--no-progress")
    assert again.stdout.splitlines()[0] == "fixed nothing"
    assert (project / "train.py").read_text() == MENDED


def test_diff_writes_nothing_and_is_one_where_something_would_change(project: Path, verify: Verify) -> None:
    done = verify(project, "fix", "--diff", ".", "--no-progress")
    assert done.returncode == 1
    assert (project / "train.py").read_text() == BROKEN
    subprocess.run(["git", "apply"], cwd=project, input=done.stdout, text=True, check=True)
    assert (project / "train.py").read_text() == MENDED
    assert "would fix 1 finding in 1 file" in done.stderr
    clean = verify(project, "fix", "--diff", ".", "--no-progress")
    assert (clean.returncode, clean.stdout) == (0, "")


def test_diff_of_what_cannot_be_fixed_is_the_verdict(project: Path, verify: Verify) -> None:
    (project / "train.py").write_text("def f():\n    return missing\n")
    done = verify(project, "fix", "--diff", "train.py", "--no-progress")
    assert (done.returncode, done.stdout) == (1, "")


def test_a_task_is_fixed_by_its_name(project: Path, verify: Verify) -> None:
    (project / "other.py").write_text(BROKEN)
    done = verify(project, "fix", "T1", "--no-progress")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "train.py").read_text() == MENDED
    assert (project / "other.py").read_text() == BROKEN


def test_what_is_neither_path_nor_task_is_refused_with_the_nearest(project: Path, verify: Verify) -> None:
    done = verify(project, "fix", "T2")
    assert done.returncode == 2
    assert done.stderr == "verify: T2: there is no such file, folder or task; valid: T1\n"


def test_without_a_configuration_there_are_only_paths(tmp_path: Path, verify: Verify) -> None:
    done = verify(tmp_path, "fix", "T2")
    assert (done.returncode, done.stderr) == (2, "verify: T2: there is no such file, folder or task\n")


def test_a_file_that_does_not_parse_is_left_alone_and_named(project: Path, verify: Verify) -> None:
    (project / "broken.py").write_text("import torch\nx = (\n")
    done = verify(project, "fix", ".", "--no-progress")
    assert done.returncode == 1
    assert "broken.py: it does not parse (line 2), so nothing in it is fixed" in done.stdout
    assert (project / "broken.py").read_text() == "import torch\nx = (\n"
    assert (project / "train.py").read_text() == MENDED


def test_what_is_suppressed_ignored_or_not_selected_is_not_fixed(project: Path, verify: Verify) -> None:
    allowed = BROKEN.replace("1.0)", "1.0)  # verify: allow[AMP103] measured so")
    (project / "train.py").write_text(allowed)
    assert verify(project, "fix", "train.py").returncode == 0
    assert (project / "train.py").read_text() == allowed
    (project / "train.py").write_text(BROKEN)
    assert verify(project, "fix", "train.py", "--ignore", "AMP103").returncode == 0
    assert verify(project, "fix", "train.py", "--select", "AMP108").returncode == 0
    assert (project / "train.py").read_text() == BROKEN
    (project / "verifier.toml").write_text('per-file-ignores = { "train.py" = ["AMP"] }\n')
    assert verify(project, "fix", "train.py", "--config", "verifier.toml").returncode == 0
    assert (project / "train.py").read_text() == BROKEN


def test_unsafe_fixes_wait_to_be_asked_for(project: Path, verify: Verify) -> None:
    text = BROKEN.replace("scaler.scale(loss).backward()", "loss.backward()").replace(
        "        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n", ""
    )
    (project / "train.py").write_text(text)
    done = verify(project, "fix", "train.py", "--no-progress")
    assert done.returncode == 1
    assert "1 more can be fixed with --unsafe, which may change what the program does: AMP105" in done.stdout
    assert (project / "train.py").read_text() == text
    assert verify(project, "fix", "train.py", "--unsafe").returncode == 0
    assert "scaler.scale(loss).backward()" in (project / "train.py").read_text()


def test_other_formats_report_what_remains(project: Path, verify: Verify) -> None:
    done = verify(project, "fix", "train.py", "--no-progress", "--format", "json", "--output", "-")
    assert json.loads(done.stdout)["verdict"] == "PASS"
    assert "fixed 1 finding in 1 file" in done.stderr


def test_system_b_the_critical_and_the_high_are_gone(tmp_path: Path, verify: Verify) -> None:
    project = tmp_path / "b"
    shutil.copytree(BLOCKED, project)
    mode = (project / "utils/tier3_training_utilities.py").stat().st_mode
    assert verify(project, "check", ".").returncode == 1
    done = verify(project, "fix", ".", "--no-progress")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fixed 2 findings in 2 files" in done.stdout
    assert "[CRITICAL]" not in done.stdout
    assert "[HIGH]" not in done.stdout
    assert "tests/test_amp_utils.py:16:1: IMP001 [MEDIUM]" in done.stdout
    assert (project / "utils/tier3_training_utilities.py").stat().st_mode == mode
