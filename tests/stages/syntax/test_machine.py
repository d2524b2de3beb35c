"""`verify doctor` finds the ruff that stage 1 would run, and names the gate that waits for one."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from stages.syntax.machine import verifier_machine
from stages.syntax.stage import STAGE
from verifier.api import Config, State

if TYPE_CHECKING:
    import pytest


def test_an_installed_ruff_works(tmp_path: Path) -> None:
    (fact,) = verifier_machine(Config(root=tmp_path))
    assert (fact.state, fact.defers) == (State.WORKS, ())


def test_without_ruff_the_lint_gate_is_deferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    (fact,) = verifier_machine(Config(root=tmp_path))
    assert (fact.state, fact.defers) == (State.MISSING, ("syntax:lint",))
    assert fact.defers[0].partition(":")[2] in STAGE.gates
