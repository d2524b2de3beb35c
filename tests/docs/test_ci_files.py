"""The recipes for build servers and shells work: the action's own script is run, and three shells complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CONFIG = """
[tool.verifier.tasks.T1]
title = "t"
files = ["a.py"]

[tool.verifier.tasks.T2]
title = "u"
files = ["b.py"]
"""


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text(CONFIG)
    (root / "a.py").write_text("x = 1\n")
    (root / "b.py").write_text("print(nmae)\n")
    return root


def _act(project: Path, **inputs: str) -> tuple[subprocess.CompletedProcess[str], str, str]:
    """Run the step of the action as the runner does: its script in bash, its inputs as variables."""
    action = _yaml("action.yml")
    step = action["runs"]["steps"][1]
    names = {expression: name for name, expression in step["env"].items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB")}
    for name, given in action["inputs"].items():
        variable = names.get(f"${{{{ inputs.{name} }}}}")
        if variable:
            environment[variable] = inputs.get(name.replace("-", "_"), given["default"])
    output, summary = project.parent / "output", project.parent / "summary"
    environment |= {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary), "CI": "true"}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, output.read_text(), summary.read_text() if summary.exists() else ""


def test_the_action_verifies_tasks_and_says_so_where_a_workflow_looks(project: Path) -> None:
    done, output, summary = _act(project, tasks="T1 T2", stages="syntax")
    assert done.returncode == 1, done.stderr
    assert output == "reports=verify-reports\nexit-code=1\n"
    assert summary.count("/100") >= 2
    assert "::error " in done.stdout
    assert (project / "verify-reports/T1/report.sarif").is_file()
    assert (project / "verify-reports/T2/report.json").is_file()


def test_the_action_reads_files_and_takes_a_baseline(project: Path) -> None:
    done, output, _ = _act(project, check="a.py", formats="md,json", output="out dir")
    assert (done.returncode, output) == (0, "reports=out dir\nexit-code=0\n"), done.stderr
    done, output, _ = _act(project, check="b.py", baseline="none.json", formats="md,json")
    assert (done.returncode, output.splitlines()[-1]) == (2, "exit-code=2")


def test_an_input_is_never_part_of_the_script(project: Path) -> None:
    _act(project, tasks="$(touch hacked) `touch hacked`; touch hacked", formats="md", stages='";touch hacked')
    assert not (project / "hacked").exists()
    text = (ROOT / "action.yml").read_text("utf-8")
    assert all("${{" not in step["run"] for step in _yaml("action.yml")["runs"]["steps"])
    assert "github.action_path" in text


def test_the_hook_takes_files(project: Path) -> None:
    (hook,) = _yaml(".pre-commit-hooks.yaml")
    command = [*hook["entry"].split(), "a.py", "b.py"]
    assert command[0] == "verify"
    done = subprocess.run([BIN / "verify", *command[1:]], cwd=project, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "b.py:1:7: SCP001" in done.stdout


def test_the_template_is_a_job_that_keeps_what_the_command_writes(project: Path) -> None:
    job = _yaml("templates/gitlab.yml")["verify"]
    (line,) = [line for line in job["script"] if "$VERIFY_ARGUMENTS" in line]
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"VERIFY_ARGUMENTS": "T1 --stage syntax"}
    done = subprocess.run(["sh", "-ec", line], cwd=project, env=environment, capture_output=True, check=False)
    (kept,) = job["artifacts"]["paths"]
    assert (done.returncode, (project / kept / "report.json").is_file()) == (0, True)


def _complete(project: Path, shell: str, words: str, last: str) -> list[str]:
    variables = {"_VERIFY_COMPLETE": f"{shell}_complete", "COMP_WORDS": words}
    if shell in {"bash", "zsh"}:
        variables["COMP_CWORD"] = str(len(words.split(" ")) - 1)
    else:
        variables["COMP_CWORD"] = last
    done = subprocess.run(
        [BIN / "verify"], cwd=project, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    if shell == "zsh":  # kind, value and help stand on lines of their own
        return done.stdout.splitlines()[1::3]
    return [line.partition(",")[2].partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_tasks_and_options_complete(project: Path, shell: str) -> None:
    assert "check-report" in _complete(project, shell, "verify check", "check")
    assert _complete(project, shell, "verify T", "T") == ["T1", "T2"]
    assert "--baseline" in _complete(project, shell, "verify T1 --base", "--base")
    assert "--update-baseline" in _complete(project, shell, "verify check a.py --up", "--up")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_reads_is_right_to_that_shell(shell: str) -> None:
    environment = os.environ | {"_VERIFY_COMPLETE": f"{shell}_source"}
    done = subprocess.run([BIN / "verify"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "_VERIFY_COMPLETE" in done.stdout) == (0, True)
    if shutil.which(shell):
        read = subprocess.run([shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, "")
