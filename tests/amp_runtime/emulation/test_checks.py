"""Runs the files `checks_*.py` of this folder, which hold what must be true under emulation."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("checks_*.py"))
CHECKS = [
    f"{path.stem}::{node.name}"
    for path in FILES
    for node in ast.parse(path.read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]


@pytest.fixture(scope="module")
def errors():
    command = [sys.executable, str(HERE / "run_checks.py"), *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"check"')]
    assert done.returncode == 0, f"exit {done.returncode} after {len(found)} checks\n{done.stderr}"
    return {each["check"]: each["error"] for each in found}


@pytest.mark.parametrize("check", CHECKS)
def test_under_emulation(errors, check):
    assert errors[check] is None, errors[check]
