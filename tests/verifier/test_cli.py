"""The command line: exit codes, refusals in one sentence, streams kept apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[tool.verifier.tasks.T035]
title = "Mixed precision"
files = ["pkg/*.py"]

[tool.verifier.tasks.T036]
title = "Another"
files = ["other.py"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("")
    (tmp_path / "pkg/a.py").write_text("import math\n\n\ndef area(r):\n    return math.pi * r * r\n")
    (tmp_path / "other.py").write_text("def broken():\n    return missing\n")
    (tmp_path / "pyproject.toml").write_text(CONFIG)
    return tmp_path


def verify(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verifier", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_a_clean_task_passes_and_writes_its_reports(project: Path) -> None:
    done = verify(project, "T035", "--stage", "syntax")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((project / ".verify/reports/T035/report.json").read_text())
    assert (report["verdict"], report["score"], report["task"]) == ("PASS", 100, "T035")
    assert (project / ".verify/reports/T035/report.md").exists()
    assert done.stdout.startswith("PASS  T035  100/100")
    assert "not run: logic, integration" in done.stdout


def test_several_tasks_end_with_the_worst_code_and_one_folder_each(project: Path) -> None:
    done = verify(project, "T035", "T036", "--stage", "1", "--output", "out", "--format", "json")
    assert done.returncode == 1
    verdicts = {
        name: json.loads((project / f"out/{name}/report.json").read_text())["verdict"] for name in ("T035", "T036")
    }
    assert verdicts == {"T035": "PASS", "T036": "BLOCK"}


def test_output_to_stdout_carries_the_document_and_nothing_else(project: Path) -> None:
    done = verify(project, "T036", "--stage", "syntax", "--output", "-", "--format", "json")
    assert json.loads(done.stdout)["stages"][0]["findings"][0]["rule"] == "SCP001"
    assert "BLOCK" in done.stderr
    assert not (project / ".verify").exists()


def test_check_needs_no_configuration_prints_concise_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print(nmae)\n")
    done = verify(tmp_path, "check", "script.py")
    assert done.returncode == 1
    assert "script.py:1:7: SCP001" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.py"]


def test_check_of_a_clean_file_passes(project: Path) -> None:
    assert verify(project, "check", "pkg").returncode == 0


def test_quiet_says_nothing_but_the_exit_code(project: Path) -> None:
    done = verify(project, "T036", "--stage", "syntax", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["T53"], 'there is no task "T53"'),
        (["T035", "--stage", "sintax"], 'there is no stage "sintax"; did you mean "syntax"?'),
        (["T035", "--format", "markdwn"], 'there is no report format "markdwn"'),
        (["T035", "T036", "--output", "-", "--format", "json"], "--output - takes one task"),
        (["T035", "--output", "-"], "--output - prints one document"),
        (["--all", "T035"], "--all runs every task"),
        (["--stage", "syntax"], "name a task, or use --all"),
        (["T035", "--nonsense"], "--nonsense"),
        (["check", "nowhere"], "nowhere: there is no such file or folder"),
        (["check", "empty"], "nothing to check"),
        (["check", "pkg", "--stage", "integration"], "runs no code"),
        (["T035", "--python", "no/python"], "there is no such interpreter"),
        (["T035", "--sandbox", "landlok"], '--sandbox knows no "landlok"; did you mean "landlock"?'),
        (
            ["check", "pkg", "--require-isolation", "full"],
            '--require-isolation knows no "full"; valid: files, ',
        ),
    ],
)
def test_wrong_use_is_exit_2_and_one_clear_line(project: Path, arguments: list[str], sentence: str) -> None:
    (project / "empty").mkdir()
    done = verify(project, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_configuration_says_everything_that_is_wrong(project: Path) -> None:
    (project / "pyproject.toml").write_text(CONFIG.replace("files", "fils"))
    done = verify(project, "T035")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 4  # each task: an unknown key, and no files


def test_a_report_that_cannot_be_written_is_exit_3(project: Path) -> None:
    (project / "taken").write_text("")
    done = verify(project, "T035", "--stage", "syntax", "--output", "taken")
    assert done.returncode == 3
    assert "taken" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["check", "pkg"], ["rules"], ["explain", "SCP001"], ["doctor"], ["T035", "--stage", "syntax"]],
)
def test_no_static_command_imports_torch(project: Path, arguments: list[str]) -> None:
    code = (
        "import sys\nsys.argv = ['verify', *sys.argv[1:]]\nfrom verifier.cli import main\nmain()\n"
        "heavy = {'torch', 'libcst', 'numpy'} & set(sys.modules)\nsys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("command", "part"), [("tasks", "T035"), ("stages", "syntax"), ("rules", "SCP001")])
def test_lists(project: Path, command: str, part: str) -> None:
    done = verify(project, command)
    assert done.returncode == 0
    assert part in done.stdout


def test_help_lists_every_command(project: Path) -> None:
    done = verify(project, "--help")
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed == [
        "check",
        "run",
        "fix",
        "analyze",
        "mutate",
        "compare",
        "check-report",
        "merge",
        "calibrate",
        "tasks",
        "stages",
        "rules",
        "explain",
        "init",
        "schema",
        "doctor",
    ]
