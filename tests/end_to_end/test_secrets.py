"""A secret of the verified code stands in no report, in whatever format, whatever stage quotes its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from verifier.plugins import load_plugins

TOKEN = "ghp_A7f3kQ9zLm2XwR8v" + "TbY5nJcPdE1sGh4UoK6i"
CODE = f"""import torch
import wandb

undefined_name("{TOKEN}")
scaler = torch.cuda.amp.GradScaler(); token = "{TOKEN}"
wandb.log({{"{TOKEN}": token, "x": "{TOKEN}"}})
print("{TOKEN}")  # verify: allow[SEC301] {TOKEN}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text('[tool.verifier.tasks.T]\ntitle = "T"\nfiles = ["*.py"]\n')
    (root / "train.py").write_text(CODE)
    formats = ",".join(load_plugins().renderers)
    command = [sys.executable, "-m", "verifier", "T", "--format", formats, "--output", "out", "--no-progress"]
    command += ["--stage", "syntax", "--stage", "logic", "--stage", "security"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return root / "out"


def test_no_file_of_any_format_holds_it(written: Path) -> None:
    files = [path for path in written.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path.name for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_the_reports_say_where_it_stands(written: Path) -> None:
    assert "ghp_… (40 characters)" in (written / "report.md").read_text("utf-8")
