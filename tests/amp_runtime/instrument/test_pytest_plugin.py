"""`pytest --amp-sanitize` fails the test that trains wrongly, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from amp_runtime.instrument import pytest_plugin

TESTS = """
import torch

def train(unscaled, steps=3):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = model(torch.ones(2, 4)).float().mean()
        scaler.scale(loss).backward()
        if unscaled:
            scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

def test_right():
    train(True)

def test_wrong():
    train(False)

def test_no_training():
    assert True
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_training.py").write_text(TESTS, encoding="utf-8")
    plugin = [
        "-p",
        "amp_runtime.instrument.pytest_plugin",
    ]  # and no other: what is installed may be older
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *options, str(folder)]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120, env=alone)


def test_the_test_that_trains_wrongly_fails_with_the_alarm(tmp_path: Path) -> None:
    done = run(tmp_path, "--amp-sanitize")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "1 failed, 2 passed" in done.stdout
    assert "CRITICAL AMP103 clip-before-unscale" in done.stdout
    assert "test_training.py:16 in train" in done.stdout


def test_an_installed_package_brings_the_option() -> None:
    settings = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))
    assert settings["project"]["entry-points"]["pytest11"] == {"amp-sanitizer": pytest_plugin.__name__}


def test_without_the_option_nothing_is_watched(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
