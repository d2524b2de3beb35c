"""`verify doctor` finds the scanner that stage 5 would run, and names the gate that waits for one."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from stages.security.machine import verifier_machine
from stages.security.stage import STAGE
from verifier.api import Config, State


@pytest.mark.parametrize(("version", "state"), [("2.0.0-rc.4", State.WORKS), ("1.6.1", State.MISSING)])
def test_a_scanner_works_from_version_2_on(
    version: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "bin/betterleaks"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho {version}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tool.parent))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (fact,) = verifier_machine(Config(root=tmp_path / "project"))
    assert fact.state is state
    assert version in fact.text


def test_without_one_the_gate_is_deferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    (fact,) = verifier_machine(Config(root=tmp_path))
    assert (fact.state, fact.defers) == (State.MISSING, ("security:secrets",))
    assert fact.defers[0].partition(":")[2] in STAGE.gates
