"""The stage as the core sees it: declared, free of torch, and honest about what it could not do."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from stages.integration.stage import STAGE, verifier_stages
from tests.builders import run_stage
from tests.stages.integration.projects import WORKLOAD, at, integrate, only, write
from verifier.api import GateStatus, Need, RunOptions, StageError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """Return an interpreter with nothing installed."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    return tmp_path / "bare" / "bin" / "python"


def test_it_is_stage_3_needs_syntax_and_declares_its_gates() -> None:
    assert verifier_stages() == (STAGE,)
    assert (STAGE.number, STAGE.name, STAGE.title, STAGE.runs_code) == (3, "integration", "Integration", True)
    assert STAGE.needs == (Need(stage="syntax", must_pass=True),)
    assert list(STAGE.gates) == [
        *("imports", "tests", "fp32-path", "amp-path", "amp-agreement", "amp-updates", "resume"),
        *("scripts", "sanitizer", "cuda-policy"),
        *("autocast", "grad-scaler", "scaled-gradients", "loss-scale-log", "amp-accuracy", "step-times"),
        *("compile-equivalence", "cpu", "cuda"),
    ]
    assert {rule.code[:3] for rule in STAGE.rules} == {"RUN"}


def test_it_imports_neither_torch_nor_the_projects_code() -> None:
    code = "import sys; sys.modules['torch'] = None; import stages.integration.stage; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)


def test_nothing_to_run_is_no_check(tmp_path: Path) -> None:
    outcome = integrate(tmp_path, {"__main__.py": "", "notes.txt": ""})
    assert outcome.checks_run == 0
    assert outcome.gates == ()


def test_the_facts_are_complete_and_say_which_layers_held(tmp_path: Path) -> None:
    files = {"work.py": WORKLOAD, "tests/test_it.py": "def test_a(): pass\n"}
    outcome = integrate(tmp_path, files, tests=("tests",), workloads=("work:toy",))
    assert {"imports", "tests", "workloads", "isolation", "limitations", "environment"} <= set(outcome.facts)
    isolation = outcome.facts["isolation"]
    assert isolation["own-session"] is True
    assert isolation["orphans-adopted"] is True
    assert isolation["time-limit-s"] == 30.0
    assert outcome.checks_run == 4


def test_one_error_that_breaks_imports_tests_and_training_is_one_finding(tmp_path: Path) -> None:
    files = {
        "mine.py": "import os\nimport gone\n",
        "work.py": f"import mine\n{WORKLOAD}",
        "tests/test_it.py": "import mine\ndef test_a(): pass\n",
    }
    outcome = integrate(tmp_path, files, tests=("tests",), workloads=("work:toy",))
    finding = only(outcome)
    assert at(finding) == ("RUN001", "mine.py", 2)
    assert finding.symbol == "mine"
    assert {related.location.path for related in finding.related} >= {"work.py", "tests/test_it.py"}
    assert {gate.status for gate in outcome.gates} == {GateStatus.FAIL}


def test_time_that_ran_out_is_told_from_a_step_that_hangs(tmp_path: Path) -> None:
    slow = "import time\n" + "".join(f"def test_{n}(): time.sleep(0.7)\n" for n in range(6))
    files = {"a.py": "", "tests/test_it.py": slow}
    finding = only(integrate(tmp_path, files, tests=("tests",), time_limit_s=2.5))
    assert finding.rule == "RUN004"
    assert finding.message.startswith("The time of the stage ran out while running tests/test_it.py::test_")


def test_tests_without_pytest_fail_with_the_remedy(tmp_path: Path, bare_python: Path) -> None:
    write(tmp_path, {"a.py": "", "tests/test_it.py": "def test_a(): pass\n"})
    options = RunOptions(time_limit_s=30.0, python=bare_python)
    outcome = run_stage(STAGE, tmp_path, ["a.py", "tests/test_it.py"], tests=("tests",), options=options)
    assert only(outcome).rule == "RUN003"
    assert "pip install pytest" in only(outcome).remediation


@pytest.mark.parametrize("declared", [{"tests": ("tests",)}, {"workloads": ("a:toy",)}])
def test_declared_work_that_needs_torch_is_an_error_without_it(
    tmp_path: Path, bare_python: Path, declared: dict[str, tuple[str, ...]]
) -> None:
    write(tmp_path, {"a.py": "def f():\n    import torch\n", "tests/test_it.py": "def test_a(): pass\n"})
    options = RunOptions(time_limit_s=30.0, python=bare_python)
    with pytest.raises(StageError, match="pip install torch"):
        run_stage(STAGE, tmp_path, ["a.py", "tests/test_it.py"], options=options, **declared)


def test_a_module_that_guards_its_torch_import_needs_none(tmp_path: Path, bare_python: Path) -> None:
    write(tmp_path, {"a.py": "try:\n    import torch\nexcept ImportError:\n    torch = None\n"})
    options = RunOptions(time_limit_s=30.0, python=bare_python)
    assert run_stage(STAGE, tmp_path, ["a.py"], options=options).findings == ()
