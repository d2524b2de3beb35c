from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from amp_runtime.calibration import PROGRAM


def _start(cwd: Path, *words: str, safe: bool = False) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PYTHONSAFEPATH": "1"} if safe else {})
    command = [sys.executable, "-W", "error", str(PROGRAM), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("safe", [False, True])
def test_the_installed_package_runs_whatever_the_project_calls_its_own(tmp_path: Path, safe: bool) -> None:
    for name in ("amp_runtime.py", "torch.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module was loaded')")
    done = _start(tmp_path, "--list-presets", safe=safe)
    assert (done.returncode, done.stderr) == (0, "")
    assert "epyc-7003" in done.stdout


def test_wrong_use_is_exit_code_2_and_one_sentence(tmp_path: Path) -> None:
    done = _start(tmp_path, "--load", "absent.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "verify: absent.json: there is no such profile; `verify calibrate` measures one\n"
