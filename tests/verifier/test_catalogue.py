"""A check that knows what our plugins declare loads none of them for nothing, and says the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from verifier.catalogue import plugins_of_check
from verifier.plugins import Plugins, load_plugins

TRAIN = (
    "import torch\n\n\ndef train(model, optimizer, batches):\n"
    "    scaler = torch.amp.GradScaler()\n    for batch in batches:\n"
    "        with torch.autocast('cuda'):\n            loss = model(batch).mean()\n"
    "        scaler.scale(loss).backward()\n        optimizer.step()\n        scaler.update()\n"
)
LOADED = """
import sys
from pathlib import Path
from verifier.catalogue import plugins_of_check
plugins_of_check(Path(sys.argv[1]))
print(*sorted(name for name in sys.modules if name.startswith("stages.")))
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VERIFY_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text(TRAIN)
    return tmp_path / "project"


def declared(plugins: Plugins) -> Any:
    """Return everything that plugins declare, functions aside."""

    def bare(item: Any) -> dict[str, Any]:
        values = {field.name: getattr(item, field.name) for field in fields(item)}
        return {name: value for name, value in values.items() if not callable(value)}

    return (
        [bare(stage) for stage in plugins.stages],
        {code: bare(fix) for code, fix in plugins.fixes.items()},
        (plugins.rules, plugins.rule_stage, list(plugins.renderers), plugins.third_party),
    )


def noted(root: Path) -> Path:
    (found,) = root.parent.glob("cache/*/plugins.json")
    return found


def check(root: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "verifier", "check", ".", "-q", "--format", "json", "--output", "-", *options],
        cwd=root,
        env=dict(os.environ),
        capture_output=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    for name in ("tool", "summary"):
        report.pop(name, None)
    for stage in report["stages"]:
        stage.pop("duration_s", None)
    return report


def test_what_is_known_of_plugins_is_what_they_declare(root: Path) -> None:
    first = plugins_of_check(root)
    assert declared(first) == declared(load_plugins())
    known = plugins_of_check(root)
    assert declared(known) == declared(first)
    assert {type(stage.run).__name__ for stage in known.stages} == {"_Later"}
    assert [stage.run.__module__ for stage in known.stages] == [stage.run.__module__ for stage in first.stages]


def test_known_plugins_are_not_loaded(root: Path) -> None:
    command = [sys.executable, "-c", LOADED, str(root)]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert "stages.logic.run" in first.split()
    assert second.split() == []


def test_a_check_says_the_same_with_known_plugins(root: Path) -> None:
    check(root)
    (root / "train.py").write_text(f"# moved\n{TRAIN}")  # stages and fixes are to be run, from what is known of them
    known = check(root)
    assert any(finding["fix"] for stage in known["stages"] for finding in stage["findings"])
    assert known == check(root, "--no-cache")


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"identity": 1}', '{"identity": "", "packages": ["no_such_package"], "plugins": []}', "[]"],
)
def test_what_is_not_whole_is_not_believed(root: Path, text: str) -> None:
    first = plugins_of_check(root)
    noted(root).write_text(text)
    assert declared(plugins_of_check(root)) == declared(first)


def test_another_code_is_loaded_anew(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins_of_check(root)
    monkeypatch.setattr("verifier.cache.identity.__version__", "0.0.0")
    assert {type(stage.run).__name__ for stage in plugins_of_check(root).stages} == {"function"}
    assert {type(stage.run).__name__ for stage in plugins_of_check(root).stages} == {"_Later"}


def test_without_a_cache_every_plugin_is_loaded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_CACHE_DIR", "")
    for _ in range(2):
        assert {type(stage.run).__name__ for stage in plugins_of_check(root).stages} == {"function"}
