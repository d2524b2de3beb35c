"""`verify mutate --static` on a small task: figures, documents, exit codes, and a tree that nobody writes to."""

from __future__ import annotations

import json
import sys

import pytest

from verifier import cli

TRAIN = """
import torch


def train(model, loader, criterion):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cuda")
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
"""
CONFIG = """
[tasks.T]
title = "t"
files = ["train.py"]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "verifier.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def verify(monkeypatch, capfd):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["verify", *words])
        code = cli.main()
        out, err = capfd.readouterr()
        return code, out, err

    return run


def test_the_order_of_the_protocol_is_caught_by_the_expected_rules(project, verify):
    wanted = ("plain-step", "drop-unscale", "drop-update", "unscale-twice", "bfloat16-masters")
    options = [word for name in wanted for word in ("--operator", name)]
    code, out, err = verify("mutate", "T", "--static", "--no-progress", *options)
    assert (code, err) == (0, "")
    assert (project / "train.py").read_text() == TRAIN
    document = json.loads((project / ".verify/mutation/T/mutation.json").read_text())
    assert document["schema"] == "verifier-mutation/1"
    words = {item["operator"]: item["observers"]["static rules"]["word"] for item in document["mutants"]}
    assert words == {**dict.fromkeys(wanted, "caught"), "bfloat16-masters": "missed"}
    assert document["figures"]["visible, caught by the expected rule"] == {"caught": 4, "of": 4, "percent": 100.0}
    assert "4 of 5 (80.0 %)" in out
    assert "bfloat16-masters" in out
    page = (project / ".verify/mutation/T/mutation.md").read_text()
    assert "+    model.bfloat16()" in page
    assert "plain-step | AMP101 | 1 | 1 caught" in page


def test_two_processes_say_the_same_as_one(project, verify):
    documents = []
    for jobs in ("1", "2"):
        code, out, _ = verify("mutate", "T", "--static", "--jobs", jobs, "--output", "-", "--no-progress")
        assert code == 0
        document = json.loads(out)
        documents.append((document["figures"], document["mutants"]))
    assert documents[0] == documents[1]


def test_a_score_below_the_wanted_one_is_exit_code_1(project, verify):
    wanted = ("--static", "-q", "--operator", "plain-step", "--operator", "bfloat16-masters")
    assert verify("mutate", "T", *wanted, "--fail-under", "50")[0] == 0
    code, _, err = verify("mutate", "T", *wanted, "--fail-under", "51")
    assert code == 1
    assert err == "verify: 50.0 % of those that were reached were caught; --fail-under asks for 51 %\n"


def test_a_task_with_hazards_of_its_own_is_refused(project, verify):
    (project / "train.py").write_text(TRAIN.replace("        scaler.unscale_(optimizer)\n", ""))
    code, out, err = verify("mutate", "T", "--static", "--no-progress")
    assert (code, out) == (1, "")
    assert err.startswith("verify: task T has hazards of its own (AMP103 at train.py:13); ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("mutate", "X", "--static"), 'there is no task "X"'),
        (("mutate", "T", "--static", "--operator", "plain-stap"), 'did you mean "plain-step"?'),
        (("mutate", "T", "--static", "--operator", "drop-custom-fwd"), "no place at which an AMP hazard could be put"),
    ],
)
def test_wrong_use_is_one_clear_sentence(project, verify, words, sentence):
    code, out, err = verify(*words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert sentence in err


RECORDED = """
def train(scaler, optimizer, loss):
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()


def never_called(scaler, optimizer):
    scaler.step(optimizer)
    scaler.update()
"""
TESTS = """
from train import train


class Recorder:
    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*args):
            self.calls.append(name)
            return self

        return call


def test_the_scaler_steps():
    scaler = Recorder()
    train(scaler, Recorder(), Recorder())
    assert "step" in scaler.calls
"""


def test_mutants_are_run_by_the_tests_of_the_task_in_a_copy(project, verify):
    (project / "train.py").write_text(RECORDED)
    (project / "tests").mkdir()
    (project / "tests/test_train.py").write_text(TESTS)
    (project / "verifier.toml").write_text(CONFIG + 'tests = ["tests"]\n')
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    wanted = ("--everything", "--operator", "plain-step", "--operator", "drop-update", "--no-progress")
    code, out, err = verify("mutate", "T", *wanted)
    assert (code, err) == (0, "")
    after = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and ".verify" not in path.parts}
    assert after == before
    document = json.loads((project / ".verify/mutation/T/mutation.json").read_text())
    words = {(item["operator"], item["line"]): item["observers"]["tests"]["word"] for item in document["mutants"]}
    assert words == {
        ("plain-step", 4): "caught",
        ("drop-update", 5): "missed",
        ("plain-step", 9): "not reached",
        ("drop-update", 10): "not reached",
    }
    assert document["figures"]["run, caught by tests"] == {"caught": 1, "of": 2, "percent": 50.0}
    assert "tests: not reached" in out


def test_a_task_whose_tests_fail_is_refused(project, verify):
    (project / "train.py").write_text(RECORDED)
    (project / "tests").mkdir()
    (project / "tests/test_train.py").write_text("def test_it():\n    assert False\n")
    (project / "verifier.toml").write_text(CONFIG + 'tests = ["tests"]\n')
    code, out, err = verify("mutate", "T", "--no-progress")
    assert (code, out) == (2, "")
    assert err.startswith("verify: task T does not pass as it is: gate tests: ")


def test_a_task_with_nothing_to_run_asks_for_static(project, verify):
    code, out, err = verify("mutate", "T", "--no-progress")
    assert (code, out) == (2, "")
    assert err == "verify: task T has no tests, workloads or scripts to run mutants by; use --static\n"


def test_an_installation_without_operators_says_so(project, verify, monkeypatch):
    import dataclasses

    from verifier.mutation import command
    from verifier.plugins import load_plugins

    monkeypatch.setattr(command, "load_plugins", lambda: dataclasses.replace(load_plugins(), mutations=()))
    code, _out, err = verify("mutate", "T", "--static")
    assert (code, err) == (
        2,
        "verify: no plugin brings mutation operators; ours do, so this installation is older than its code\n",
    )
