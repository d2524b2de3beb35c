"""The two trees of T035, verified by the command line: one passes with 100, one is blocked with 42."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECTS = Path(__file__).parents[1] / "projects"
TIER3 = "utils/tier3_training_utilities.py"
BENCHMARK = "utils/training/amp_benchmark.py"
AMP_UTILS = "utils/training/amp_utils.py"
TESTS = "tests/test_amp_utils.py"
CYCLE = ["utils.tier3_training_utilities", "utils.training.amp_benchmark"]

STUBS = {
    "torch/__init__.py": """
        from torch import nn, optim
        class Tensor: ...
        def no_grad(): return lambda function: function
        """,
    "torch/nn/__init__.py": "class Module: ...",
    "torch/nn/functional.py": "",
    "torch/optim.py": "class Optimizer: ...",
    "pandas.py": "",
    "matplotlib/__init__.py": "",
    "matplotlib/pyplot.py": "",
}


def copy_of(name: str, folder: Path) -> Path:
    root = folder / name
    shutil.copytree(PROJECTS / name, root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def verify(root: Path, *options: str) -> tuple[int, dict[str, Any]]:
    out = root.parent / f"{root.name}-out"
    command = [sys.executable, "-m", "verifier", "T035", "--stage", "syntax", "--format", "json", "--output", str(out)]
    done = subprocess.run([*command, *options], cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert (out / "report.json").is_file(), done.stderr
    return done.returncode, json.loads((out / "report.json").read_text("utf-8"))


def findings(report: dict[str, Any]) -> list[dict[str, Any]]:
    (stage,) = report["stages"]
    return stage["findings"]


def costly(report: dict[str, Any]) -> list[tuple[str, str, str, int]]:
    """Return what costs points, in the report's own order."""
    rows = [(item["rule"], item["severity"], item["path"], item["line"]) for item in findings(report)]
    return [row for row in rows if row[1] != "INFO"]


def only(report: dict[str, Any], rule: str) -> dict[str, Any]:
    (found,) = [item for item in findings(report) if item["rule"] == rule]
    return found


def line_of(root: Path, path: str, text: str, nth: int = 0) -> int:
    lines = (root / path).read_text("utf-8").splitlines()
    return [number for number, line in enumerate(lines, start=1) if line.strip() == text][nth]


def eager_imports(root: Path) -> list[tuple[str, int]]:
    """Return the two imports that make the cycle of the blocked tree."""
    there = line_of(root, TIER3, "from utils.training.amp_benchmark import test_amp_speedup_benchmark")
    back = line_of(root, BENCHMARK, "from utils.tier3_training_utilities import test_fine_tuning")
    return [(TIER3, there), (BENCHMARK, back)]


def replace(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text("utf-8")
    assert old in text
    (root / path).write_text(text.replace(old, new), "utf-8")


def failing_first_imports(root: Path, stubs: Path) -> list[str]:
    """Import every module as the first one of a fresh interpreter; return those whose import raises."""
    for path, text in STUBS.items():
        file = stubs / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(line.strip() for line in text.splitlines()), "utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{stubs}"}
    names = [
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((root / "utils").rglob("*.py"))
    ]
    failing = []
    for name in names:
        code = f"import sys\ntry:\n    import {name}\nexcept ImportError as error:\n    sys.exit(3)"
        done = subprocess.run([sys.executable, "-S", "-c", code], env=environment, timeout=60, check=False)
        assert done.returncode in (0, 3)
        if done.returncode:
            failing.append(name)
    return failing


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, dict[str, Any]]:
    root = copy_of("t035_passing", tmp_path_factory.mktemp("passing"))
    return root, *verify(root)


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, dict[str, Any]]:
    root = copy_of("t035_blocked", tmp_path_factory.mktemp("blocked"))
    return root, *verify(root)


def test_the_passing_tree_passes_with_100(passing):
    _, code, report = passing
    assert (code, report["verdict"], report["score"]) == (0, "PASS", 100)
    assert [(stage["name"], stage["status"], stage["score"]) for stage in report["stages"]] == [
        ("syntax", "PASSED", 100)
    ]
    assert costly(report) == []


def test_the_passing_tree_has_one_lazy_cycle(passing):
    root, _, report = passing
    found = only(report, "IMP005")
    places = {(found["path"], found["line"])} | {(place["path"], place["line"]) for place in found["related"]}
    lazy = line_of(root, BENCHMARK, "from utils.tier3_training_utilities import test_fine_tuning")
    eager = line_of(root, TIER3, "from utils.training.amp_benchmark import test_amp_speedup_benchmark")
    assert places == {(BENCHMARK, lazy), (TIER3, eager)}
    assert found["severity"] == "INFO"
    assert not found["blocking"]


def test_nothing_else_is_said_about_the_passing_tree_but_what_is_not_installed(passing):
    _, _, report = passing
    others = [item["rule"] for item in findings(report) if item["rule"] not in ("IMP005", "IMP002")]
    assert others == ["API001"] * 4


def test_functions_that_pytest_takes_for_tests_are_told(passing):
    _, _, report = passing
    told = {item["symbol"]: item["message"] for item in findings(report) if item["rule"] == "API001"}
    assert set(told) == {
        "test_fine_tuning",
        "test_hyperparameter_search",
        "test_benchmark_comparison",
        "test_amp_speedup_benchmark",
    }
    assert all("pytest collects it as a test" in message for message in told.values())


@pytest.mark.parametrize("tree", ["passing", "blocked"])
def test_lint_ran_and_found_no_error(tree, request):
    _, _, report = request.getfixturevalue(tree)
    stage = report["stages"][0]
    gates = {gate["name"]: gate for gate in stage["gates"]}
    assert gates["lint"]["status"] == gates["configuration"]["status"] == "PASS"
    assert (stage["facts"]["lint"]["errors"], stage["facts"]["lint"]["files"]) == (0, 7 if tree == "passing" else 6)


def test_the_conventions_of_the_passing_tree_are_those_of_its_source(passing):
    _, _, report = passing
    rows = {row["path"]: row for row in report["stages"][0]["facts"]["conventions"]}
    row = rows[TIER3]
    assert (row["functions"], row["docstrings"], row["annotated"], row["indent"]) == (3, 3, 3, "4 spaces")
    assert [row["naming"] for row in rows.values() if row["naming"]] == []


def test_the_passing_tree_imports_from_every_module(passing, tmp_path):
    root, _, _ = passing
    assert failing_first_imports(root, tmp_path) == []


def test_the_facts_of_the_passing_tree_are_those_of_its_source(passing):
    root, _, report = passing
    facts = report["stages"][0]["facts"]
    points = {(row["what"], row["line"]) for row in facts["amp_points"] if row["path"] == TIER3}
    assert ("autocast", line_of(root, TIER3, "with autocast():")) in points
    assert ("unscale", line_of(root, TIER3, "scaler.unscale_(optimizer)")) in points
    (sixteen,) = [row for row in facts["tests"] if row["name"] == "test_every_combination"]
    assert (sixteen["class"], sixteen["parameters"]) == ("TestComputeEffectivePrecision", 16)
    assert {row["class"] for row in facts["tests"]} == {
        "TestComputeEffectivePrecision",
        "TestAmpWandbCallback",
        "TestAMPIntegration",
    }
    keys = {row["name"]: row["returned_keys"] for row in facts["signatures"]}
    assert keys["test_fine_tuning"] == [
        "amp_enabled",
        "figure",
        "final_loss_scale",
        "grad_norm_history",
        "loss_history",
        "metrics_summary",
    ]
    assert [row["name"] for row in facts["misnamed_tests"] if row["path"] == BENCHMARK] == [
        "test_amp_speedup_benchmark"
    ]
    switch = {row["function"]: row for row in facts["amp_switch"]}
    assert switch["test_fine_tuning"]["uses"][0]["how"] == "decides about the scaler"


def test_the_blocked_tree_is_blocked_with_42(blocked):
    root, code, report = blocked
    assert (code, report["verdict"], report["score"]) == (1, "BLOCK", 42)
    assert report["stages"][0]["status"] == "FAILED"
    assert costly(report) == [
        ("SCP002", "CRITICAL", TIER3, line_of(root, TIER3, "with autocast():")),
        ("IMP003", "HIGH", *eager_imports(root)[1]),
        ("IMP001", "MEDIUM", TESTS, 16),
    ]


def test_the_unbound_name_is_told_with_the_sibling_that_binds_it(blocked):
    root, _, report = blocked
    found = only(report, "SCP002")
    second = line_of(root, TIER3, "with autocast():", nth=1)
    imported = line_of(root, TIER3, "from torch.cuda.amp import GradScaler, autocast")
    related = {(place["path"], place["line"]): place["message"] for place in found["related"]}
    assert set(related) == {(TIER3, second), (TIER3, imported)}
    assert "test_fine_tuning" in related[TIER3, imported]
    assert found["symbol"] == "autocast"
    assert "test_fine_tuning" in found["message"]
    assert "_training_step" in found["message"]
    assert "enclosing" not in found["message"]


def test_the_cycle_is_judged_as_cpython_behaves(blocked, tmp_path):
    root, _, report = blocked
    found = only(report, "IMP003")
    data = found["evidence"][0]["data"]
    assert {(place["path"], place["line"]) for place in found["related"]} >= {eager_imports(root)[0]}
    assert sorted(data["cycle"]) == CYCLE
    assert sorted(data["fails_from"]) == failing_first_imports(root, tmp_path) == CYCLE


def test_the_cycle_comes_with_the_import_to_make_lazy(blocked):
    root, _, report = blocked
    found = only(report, "IMP003")
    path, line = eager_imports(root)[1]
    statement = "from utils.tier3_training_utilities import test_fine_tuning"
    assert found["message"] == (
        f"importing {CYCLE[0]} or {CYCLE[1]} first fails: import cycle {CYCLE[0]} -> {CYCLE[1]} -> {CYCLE[0]}"
    )
    assert found["evidence"][1]["kind"] == "simulation"
    assert found["evidence"][1]["data"] == {
        "make_lazy": [
            {
                "path": path,
                "line": line,
                "statement": statement,
                "functions": ["test_amp_speedup_benchmark"],
                "annotated": False,
            }
        ],
        "then_fails_from": [],
    }
    assert f"`{statement}` ({path}:{line}): move it into test_amp_speedup_benchmark()" in found["remediation"]


def test_a_missing_module_that_only_a_test_imports_is_medium(blocked):
    _, _, report = blocked
    found = only(report, "IMP001")
    assert "utils.training.amp_utils" in found["message"]
    assert not found["blocking"]


def test_what_blocks_says_so(blocked):
    _, _, report = blocked
    assert {item["rule"] for item in findings(report) if item["blocking"]} == {"SCP002", "IMP003"}
    assert {item["rule"] for item in findings(report) if item["severity"] == "INFO"} <= {"IMP002", "API001"}


def repair_scope(root: Path) -> None:
    line = "from torch.cuda.amp import GradScaler, autocast\n"
    replace(root, TIER3, f"    {line}", "")
    replace(root, TIER3, "import torch.nn.functional as F\n", f"import torch.nn.functional as F\n{line}")


def repair_cycle(root: Path) -> None:
    line = "from utils.tier3_training_utilities import test_fine_tuning\n"
    replace(root, BENCHMARK, line, "")
    replace(
        root,
        BENCHMARK,
        "    if not torch.cuda.is_available():\n",
        f"    {line}\n    if not torch.cuda.is_available():\n",
    )


def repair_module(root: Path) -> None:
    shutil.copy(PROJECTS / "t035_passing" / AMP_UTILS, root / AMP_UTILS)


@pytest.mark.parametrize(
    ("repairs", "rules", "score"),
    [
        ([repair_scope], ["IMP003", "IMP001"], 77),
        ([repair_cycle], ["SCP002", "IMP001"], 57),
        ([repair_module], ["SCP002", "IMP003"], 50),
        ([repair_scope, repair_cycle, repair_module], [], 100),
    ],
    ids=["scope", "cycle", "module", "all"],
)
def test_each_repair_removes_its_own_finding(tmp_path, repairs, rules, score):
    root = copy_of("t035_blocked", tmp_path)
    for repair in repairs:
        repair(root)
    code, report = verify(root)
    assert ([rule for rule, *_ in costly(report)], report["score"], code) == (rules, score, 1 if rules else 0)


def test_the_same_tree_gives_the_same_findings_in_the_same_order(blocked, tmp_path):
    _, _, first = blocked
    _, second = verify(copy_of("t035_blocked", tmp_path))
    assert findings(first) == findings(second)
    assert first["stages"][0]["facts"] == second["stages"][0]["facts"]


def test_both_trees_are_still_the_code_that_they_seem(passing, blocked):
    """No comment or configuration in the trees may decide the verdict."""
    for root, _, _ in (passing, blocked):
        text = "".join(path.read_text("utf-8") for path in sorted(root.rglob("*.*")) if path.suffix in (".py", ".toml"))
        assert "verify:" not in text
        assert "ignore" not in text
