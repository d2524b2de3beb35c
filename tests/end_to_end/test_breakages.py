"""Break a copy of our own training library in ten ways: BLOCK each time, and the report names the cause."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = """
[tool.verifier.tasks.T035]
files = ["amp_runtime/*.py", "amp_runtime/step/*.py", "amp_runtime/workloads/*.py", "amp_runtime/trackers/*.py"]
tests = ["tests"]
"""
TRAINING = 'workloads = ["amp_runtime.workloads:digits_fp16"]\n'
TEST = """
from amp_runtime.accumulation import shares

def test_shares_sum_to_one():
    assert sum(shares([1.0, 3.0])) == 1.0
"""


@dataclass(frozen=True)
class Breakage:
    """One edit (`old` -> `new` in `path`; an empty `old` puts `new` at the end) and what the report must then say."""

    path: str
    old: str
    new: str
    rule: str
    place: str
    says: str
    limit_s: int = 300
    trains: bool = False  # only a training shows it


BREAKAGES = {
    "syntax": Breakage(
        "amp_runtime/loop.py", "", "\ndef broken(:\n    pass\n", "SYN001", "amp_runtime/loop.py", "Syntax error"
    ),
    "scope": Breakage(
        "amp_runtime/step/training.py",
        "from amp_runtime.accumulation import shares\n",
        "",
        "SCP001",
        "amp_runtime/step/training.py",
        "shares",
    ),
    "import": Breakage(
        "amp_runtime/step/training.py",
        "import shares",
        "import shares, partition",
        "IMP001",
        "amp_runtime/step/training.py",
        "partition",
    ),
    "cycle": Breakage(
        "amp_runtime/accumulation.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\nfrom amp_runtime.step import TrainingStep\n",
        "IMP003",
        "amp_runtime/",
        "partially initialized module",
    ),
    "deleted file": Breakage(
        "amp_runtime/accumulation.py", "*", "", "IMP001", "amp_runtime/", "amp_runtime.accumulation"
    ),
    "NaN loss": Breakage(
        "amp_runtime/workloads/contract.py",
        "return report.loss",
        'return report.loss * float("nan")',
        "RUN008",
        "amp_runtime/workloads",
        "nan",
        trains=True,
    ),
    "failing test": Breakage(
        "amp_runtime/accumulation.py", "", "\n\ndef shares(sizes):\n    return [0.5 for _ in sizes] + [0.1]\n",
        "RUN002", "tests/test_shares.py", "1.1",
    ),
    "hanging test": Breakage(
        "tests/test_shares.py", "    assert", "    while True:\n        pass\n    assert",
        "RUN004", "tests/test_shares.py", "test_shares_sum_to_one", limit_s=30,
    ),
    "early exit at import": Breakage(
        "amp_runtime/rng.py", "", "\nimport os\nos._exit(0)\n", "RUN005", "amp_runtime/rng.py", "0"
    ),
    "clip before unscale": Breakage(
        "amp_runtime/step/training.py", "            self.policy.unscale(*self.optimizers)\n", "",
        "RUN009", "amp_runtime/workloads", "fp16", trains=True,
    ),
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    left_out = shutil.ignore_patterns("__pycache__", "lightning")  # importing Lightning takes longer than all the rest
    shutil.copytree(ROOT / "amp_runtime", tmp_path / "amp_runtime", ignore=left_out)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_shares.py").write_text(TEST)
    return tmp_path


def verify(root: Path, limit_s: int, *, trains: bool) -> tuple[int, dict[str, Any], str]:
    (root / "pyproject.toml").write_text(CONFIG + TRAINING * trains)
    command = [sys.executable, "-P", "-m", "verifier", "T035", "--time-limit", str(limit_s)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=limit_s + 60, check=False)
    folder = root / ".verify/reports/T035"
    assert (folder / "report.json").is_file(), done.stderr
    return done.returncode, json.loads((folder / "report.json").read_text()), (folder / "report.md").read_text()


def edit(root: Path, breakage: Breakage) -> None:
    path = root / breakage.path
    text = path.read_text()
    if breakage.old == "*":
        path.unlink()
        return
    assert breakage.old in text, "the edit no longer fits the code"
    path.write_text(text.replace(breakage.old, breakage.new, 1) if breakage.old else text + breakage.new)


def test_the_unbroken_copy_passes(project: Path) -> None:
    code, report, _ = verify(project, 300, trains=True)
    assert (code, report["verdict"], report["score"]) == (0, "PASS", 100)
    names = [stage["name"] for stage in report["stages"]]
    assert names == ["syntax", "logic", "integration", "performance", "security"]


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_each_breakage_blocks_and_is_named(project: Path, breakage: Breakage) -> None:
    edit(project, breakage)
    code, report, markdown = verify(project, breakage.limit_s, trains=breakage.trains)
    assert (code, report["verdict"]) == (1, "BLOCK")
    found = [item for stage in report["stages"] for item in stage["findings"] if item["blocking"]]
    named = [item for item in found if item["rule"] == breakage.rule and item["path"].startswith(breakage.place)]
    assert named, [(item["rule"], item["path"], item["message"]) for item in found]
    assert breakage.says.lower() in json.dumps(named).lower()
    assert named[0]["path"] in markdown
    assert named[0]["remediation"]
