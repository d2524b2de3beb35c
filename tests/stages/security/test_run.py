"""Stage 5 as a whole: what is left out, what is deferred, and that nothing it returns holds a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.security.scanner import program
from stages.security.stage import STAGE
from tests.builders import run_stage, stage_context
from verifier.api import SECRETS, Config, GateStatus, Severity, StageOutcome, Task

TOKEN = "ghp_A7f3kQ9zLm2XwR8v" + "TbY5nJcPdE1sGh4UoK6i"
EVAL = "def f(text):\n    return eval(text)\n"


@pytest.fixture(autouse=True)
def no_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find_scanner", lambda _root: None)


def run(root: Path, **files: str) -> StageOutcome:
    paths = []
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        paths.append(path.relative_to(root).as_posix())
    return run_stage(STAGE, root, paths)


def statuses(outcome: StageOutcome) -> dict[str, GateStatus]:
    return {gate.name: gate.status for gate in outcome.gates}


def test_tests_are_left_out(tmp_path: Path) -> None:
    outcome = run(tmp_path, tests__test_a_dot_py=EVAL, a_dot_py=EVAL)
    assert [(item.rule, item.location.path) for item in outcome.findings] == [("SEC201", "a.py")]


def test_a_secret_in_a_test_is_no_blocker(tmp_path: Path) -> None:
    outcome = run(tmp_path, tests__test_a_dot_py=f'T = "{TOKEN}"\n')
    assert [(item.rule, item.severity) for item in outcome.findings] == [("SEC301", Severity.MEDIUM)]


def test_the_same_secret_in_two_files_is_one_finding(tmp_path: Path) -> None:
    outcome = run(tmp_path, a_dot_py=f'T = "{TOKEN}"\n', b_dot_py=f'\nT = "{TOKEN}"\n')
    (found,) = outcome.findings
    assert (found.rule, found.severity, found.location.path) == ("SEC301", Severity.CRITICAL, "a.py")
    assert [(one.location.path, one.location.line) for one in found.related] == [("b.py", 2)]


def test_nothing_that_the_stage_returns_holds_the_secret(tmp_path: Path) -> None:
    text = f'import wandb\nwandb.login(key="{TOKEN}")\nwandb.log({{"t": "{TOKEN}"}})\n'
    outcome = run(tmp_path, a_dot_py=text)
    assert [item.rule for item in outcome.findings] == ["SEC302"]
    assert TOKEN not in repr(outcome)
    assert "ghp_… (40 characters)" in json.dumps(outcome.facts["tracker_inventory"], ensure_ascii=False)


def test_the_core_is_told_which_texts_to_hide(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f'T = "{TOKEN}"\n')
    context = stage_context(tmp_path, ["a.py"])
    STAGE.run(context)
    assert context.stash.get(SECRETS) == (TOKEN,)


def test_outputs_of_a_notebook_are_searched_too(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": ["print(1)\n"], "outputs": [
        {"output_type": "stream", "name": "stdout", "text": [f"{TOKEN}\n"]}]}  # fmt: skip
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    outcome = run(tmp_path, a_dot_ipynb=json.dumps(notebook, indent=1))
    (found,) = outcome.findings
    lines = (tmp_path / "a.ipynb").read_text().splitlines()
    assert TOKEN in lines[found.location.line - 1]


def test_configuration_that_git_ignores_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.verifier]\n")
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text(".env\n")
    for name in (".env", "deploy.yaml"):
        (tmp_path / name).write_text(f"token: {TOKEN}\n")
    task = Task(name="T", title="T", files=("a.py",))
    outcome = run_stage(STAGE, tmp_path, ["a.py"], config=Config(root=tmp_path, tasks={"T": task}))
    assert [item.location.path for item in outcome.findings] == ["deploy.yaml"]


def test_a_file_that_does_not_parse_defers_what_it_could_hold(tmp_path: Path) -> None:
    outcome = run(tmp_path, a_dot_py="eval(\n", b_dot_py=EVAL)
    assert outcome.facts["not_read"] == ["a.py"]
    assert statuses(outcome)["execution"] is GateStatus.DEFERRED
    assert [item.location.path for item in outcome.findings] == ["b.py"]


def test_without_a_scanner_its_gate_is_deferred_and_says_how_to_get_one(tmp_path: Path) -> None:
    outcome = run(tmp_path, a_dot_py="x = 1\n")
    (gate,) = [gate for gate in outcome.gates if gate.name == "secrets"]
    assert gate.status is GateStatus.DEFERRED
    assert "pip install 'verify-amp[secrets]'" in gate.evidence
    assert statuses(outcome)["loading"] is GateStatus.PASS


def test_gates_are_those_that_the_stage_declares(tmp_path: Path) -> None:
    assert set(statuses(run(tmp_path, a_dot_py="x = 1\n"))) == set(STAGE.gates)


@pytest.mark.parametrize(
    ("body", "severity"),
    [
        ('load("me/model", trust_remote_code=True)', Severity.MEDIUM),
        ('load("tuned", trust_remote_code=True)', Severity.INFO),
        ("load(folder, trust_remote_code=True)", Severity.INFO),
        ("load(name, trust_remote_code=True)", Severity.MEDIUM),
        ('load("dataset.py", trust_remote_code=True)', Severity.INFO),
    ],
)
def test_a_folder_that_is_saved_to_is_no_repository(tmp_path: Path, body: str, severity: Severity) -> None:
    text = (
        f"def f(model, folder, name):\n    model.save_pretrained(folder)\n    {body}\n"
        'def g(model, name):\n    model.save_pretrained_merged("tuned")\n    model.save_pretrained(name)\n'
    )
    (found,) = run(tmp_path, a_dot_py=text).findings
    assert (found.rule, found.severity) == ("SEC105", severity)
