"""Fingerprints survive moved lines and changes of unrelated code, and tell equal statements apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from verifier.api import Finding, Location, Severity, SourceFile, SourceTree
from verifier.fingerprints import fingerprints

if TYPE_CHECKING:
    from tests.verifier.command import Command


def _marks(root: Path, text: str, *lines: int) -> list[str]:
    (root / "a.py").write_text(text)
    sources = SourceTree(root, [SourceFile("a.py", root / "a.py")])
    findings = [
        Finding(rule="TST001", severity=Severity.LOW, message="m", location=Location(path="a.py", line=line))
        for line in lines
    ]
    return fingerprints(findings, sources)


def test_moved_and_reindented_code_keeps_its_fingerprint(tmp_path: Path) -> None:
    assert _marks(tmp_path, "clip( x )\n", 1) == _marks(tmp_path, "\n\n    clip(  x )\n", 3)


def test_changed_code_gets_another(tmp_path: Path) -> None:
    assert _marks(tmp_path, "clip(x)\n", 1) != _marks(tmp_path, "clip(y)\n", 1)


def test_equal_statements_are_told_apart_in_file_order(tmp_path: Path) -> None:
    text = "clip(x)\nclip(x)\n"
    first, second = _marks(tmp_path, text, 1, 2)
    assert first != second
    assert _marks(tmp_path, text, 2, 1) == [second, first]


def test_a_place_outside_the_file_still_has_one(tmp_path: Path) -> None:
    assert len(_marks(tmp_path, "", 7)[0]) == 20


TRAINING = """\
import torch


def helper(values):
    total = sum(values)
    return total


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
    return missing


class Report:
    def write(self, path):
        return path
"""
UNRELATED = {
    "a renamed function": (("helper", "summed"),),
    "a renamed class and method": (("Report", "Summary"), ("write", "save")),
    "a renamed local": (("total", "amount"),),
    "a new import and a docstring": (("import torch\n", '"""Training."""\n\nimport math\n\nimport torch\n'),),
    "a function put before": (("def helper", "def earlier():\n    return 1\n\n\ndef helper"),),
    "other indentation": (("    ", "  "),),
    "comments": (("scaler.update()", "scaler.update()\n        # every step"),),
}


@pytest.mark.parametrize("change", UNRELATED)
def test_what_stages_find_keeps_its_name_when_unrelated_code_changes(command: Command, change: str) -> None:
    text = TRAINING
    for old, new in UNRELATED[change]:
        assert old in text
        text = text.replace(old, new)
    before, after = _found(command, TRAINING), _found(command, text)
    assert {rule for rule, _ in before} >= {"AMP103", "SCP001"}
    assert after == before


def _found(command: Command, text: str) -> list[tuple[str, str]]:
    command.write("train.py", text)
    done = command("check", "train.py", "--select", "SCP,AMP", "--format", "json", "--output", "-", "--no-progress")
    findings = [item for stage in json.loads(done.out)["stages"] for item in stage["findings"]]
    return sorted((item["rule"], item["fingerprint"]) for item in findings)
