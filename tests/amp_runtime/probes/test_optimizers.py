"""What PyTorch loads with the first optimizer is loaded once, and takes no name away from the project."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch

from amp_runtime.probes import optimizers

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_first_optimizer_finds_everything_loaded() -> None:
    before = set(sys.modules)
    torch.optim.AdamW(torch.nn.Linear(1, 1).parameters())
    assert {name for name in set(sys.modules) - before if name.startswith("torch._dynamo")} == set()
    assert "torch._dynamo" in before


def test_a_module_of_the_project_has_its_name_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "LOADED", frozenset({"loaded_file", "loaded_package", "loaded_only"}))
    names = ("loaded_file", "loaded_package", "loaded_package.part", "loaded_only", "loaded_before")
    for name in names:
        monkeypatch.setitem(sys.modules, name, sys)
    (tmp_path / "loaded_file.py").touch()
    (tmp_path / "loaded_package").mkdir()
    (tmp_path / "loaded_before.py").touch()
    optimizers.give_way([f"{tmp_path}/nowhere", str(tmp_path)])
    assert [name for name in names if name in sys.modules] == ["loaded_only", "loaded_before"]
