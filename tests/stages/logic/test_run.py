"""The stage as a whole: what it reads, what it says it did not, and how sure it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.logic.stage import STAGE
from tests.builders import run_stage
from verifier.api import Finding, GateStatus, Severity, StageOutcome

LOOP = """
import torch

def train(model, loader, optimizer, criterion{parameters}):
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        {unscale}
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
"""


def judged(root: Path, **files: str) -> StageOutcome:
    for name, text in files.items():
        (root / f"{name}.py").write_text(text, "utf-8")
    return run_stage(STAGE, root, [f"{name}.py" for name in files])


def clipping(outcome: StageOutcome) -> list[Finding]:
    return [item for item in outcome.findings if item.rule == "AMP103"]


def test_a_file_that_does_not_parse_is_named_and_the_others_are_judged(tmp_path: Path) -> None:
    wrong = LOOP.format(parameters=", scaler", unscale="pass")
    outcome = judged(tmp_path, broken="scaler = GradScaler(\n", train=wrong)
    assert outcome.facts["not_read"] == ["broken.py"]
    assert [item.location.path for item in clipping(outcome)] == ["train.py"]
    assert all("broken.py" in gate.evidence for gate in outcome.gates)


def test_a_tree_that_does_not_speak_of_amp_is_not_even_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.logic.projects.parse", lambda file: pytest.fail(f"{file.path} was parsed"))
    outcome = judged(tmp_path, plain="def add(a, b):\n    return a + b\n")
    assert outcome.findings == ()
    assert outcome.checks_run > 0


def test_a_scaler_made_elsewhere_and_a_flag_make_a_suspicion(tmp_path: Path) -> None:
    code = LOOP.format(parameters=", scaler, use_amp", unscale="if use_amp: scaler.unscale_(optimizer)")
    (found,) = clipping(judged(tmp_path, train=code))
    assert found.severity is Severity.LOW
    assert "only a run can confirm" in found.why


def test_a_scaler_made_in_sight_is_on_whatever_a_flag_says(tmp_path: Path) -> None:
    code = LOOP.format(parameters=", use_amp", unscale="if use_amp: scaler.unscale_(optimizer)")
    made = code.replace("    for x, y", '    scaler = torch.amp.GradScaler("cuda")\n    for x, y')
    (found,) = clipping(judged(tmp_path, train=made))
    assert found.severity is Severity.CRITICAL


def test_the_path_to_a_finding_is_its_evidence(tmp_path: Path) -> None:
    (found,) = clipping(judged(tmp_path, train=LOOP.format(parameters=", scaler", unscale="pass")))
    (evidence,) = found.evidence
    assert evidence.kind == "simulation"
    assert [step["line"] for step in evidence.data["steps"]][-1:] == [8]  # type: ignore[union-attr, index]
    assert [(place.location.line, place.message) for place in found.related] == [(8, "scaled backward")]


def test_the_order_of_a_training_step_is_a_fact(tmp_path: Path) -> None:
    code = LOOP.format(parameters=", scaler", unscale="scaler.unscale_(optimizer)")
    (path,) = judged(tmp_path, train=code).facts["training_paths"]  # type: ignore[union-attr, misc]
    assert [step["line"] for step in path["steps"]] == [8, 9, 10, 11, 12]  # type: ignore[index, call-overload]


def test_what_was_not_read_defers_the_gates(tmp_path: Path) -> None:
    outcome = judged(tmp_path, broken="scaler = GradScaler(\n")
    assert {gate.status for gate in outcome.gates} == {GateStatus.DEFERRED}


def test_a_function_not_followed_to_the_end_defers_what_rests_on_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.logic.engine.walker._BUDGET", 3)
    outcome = judged(tmp_path, train=LOOP.format(parameters=", scaler", unscale="scaler.unscale_(optimizer)"))
    statuses = {gate.name: gate.status for gate in outcome.gates}
    assert statuses["scaler-protocol"] is GateStatus.DEFERRED
    assert statuses["low-precision-arithmetic"] is GateStatus.PASS


CLIPS = """
import torch

def clip_gradients(model, limit, scale=1.0):
    torch.nn.utils.clip_grad_norm_(model.parameters(), limit * scale)

def finish(trainer):
    clip_gradients(trainer.model, 1.0, trainer.scaler.get_scale())
"""
CALLS_IT = """
import torch
from clips import clip_gradients

def check_clipping(trainer):
    scaler = torch.amp.GradScaler("cuda")
    clip_gradients(trainer.model, 0.15)
    scaler.step(trainer.optimizer)
    scaler.update()
"""


def test_how_a_test_calls_project_code_is_no_fault_of_that_code(tmp_path: Path) -> None:
    assert [item.location.line for item in clipping(judged(tmp_path, clips=CLIPS, calls=CALLS_IT))] == [5]
    assert clipping(judged(tmp_path, clips=CLIPS, test_clips=CALLS_IT)) == []


def test_a_test_not_followed_to_the_end_defers_nothing_where_the_code_it_runs_was_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = LOOP.format(parameters=", scaler", unscale="scaler.unscale_(optimizer)")
    notes = "\n".join(f"    note({number})" for number in range(60))
    test = f"from train import train\n\ndef test_all(model, loader, optimizer, scaler):\n{notes}\n    train(model)\n"
    monkeypatch.setattr("stages.logic.engine.walker._BUDGET", 50)
    outcome = judged(tmp_path, train=train, test_train=test + "    GradScaler().step(optimizer)\n")
    (gate,) = (gate for gate in outcome.gates if gate.name == "scaler-protocol")
    assert outcome.facts["not_finished"] == ["test_train: test_all"]
    assert gate.status is GateStatus.PASS
    assert "1 test not followed to the end" in gate.evidence


FITS = """
import torch

def fit(model, optimizer, losses):
    scaler = torch.amp.GradScaler("cuda")
    for loss in losses:
        scaler.scale(loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
"""
TRIES_IT = """
import torch
from fits import fit

def test_it(model, optimizer, losses):
    with torch.autocast("cuda"):
        fit(model, optimizer, losses)
"""


def test_code_that_only_a_test_calls_is_judged_by_itself(tmp_path: Path) -> None:
    found = clipping(judged(tmp_path, fits=FITS, test_fits=TRIES_IT))
    assert [(item.location.path, item.location.line) for item in found] == [("fits.py", 8)]
