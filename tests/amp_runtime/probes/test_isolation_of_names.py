"""The harness runs under a private name, imports only itself and the standard library, and hides our packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# What the library and the harness both use.
SHARED = (
    "wire",
    "wire_cage",
    "wire_json",
    "wire_performance",
    "wire_scripts",
    "wire_units",
    "instrument.records",
    "benchmark",
    "benchmark.deciding",
    "benchmark.intervals",
    "benchmark.noise",
    "benchmark.pairing",
    "benchmark.sequential",
    "compile.records",
)
# What only stage 4 and compiled models need: loaded when they are asked for.
LATER = (
    *("benchmark.memory", "benchmark.reference", "calibration.codec", "calibration.finding", "calibration.machine"),
    *("capability.knowledge", "compile.workload", "device"),
)
PLACES = [ROOT / "amp_runtime" / name.replace(".", "/") for name in SHARED]
FILES = [
    *sorted((ROOT / "amp_runtime" / "probes").rglob("*.py")),
    *(place / "__init__.py" if place.is_dir() else place.with_suffix(".py") for place in PLACES),
]
WITH_TORCH = ("instrument.", "emulation.")  # in the child only, where torch was loaded before
OF_THE_PROJECT = {"pytest", "coverage", "torch"}  # imported in the child only, from the project's own environment


def imported(path: Path) -> set[tuple[int, str]]:
    """Return the modules a file imports, as (leading dots, name)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.level, node.module or alias.name) for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_imports_the_standard_library_and_its_neighbours_relatively(path: Path) -> None:
    neighbours = {file.stem for file in FILES}
    for dots, name in imported(path):
        if dots == 0:
            assert name.partition(".")[0] in sys.stdlib_module_names | OF_THE_PROJECT, name
        else:
            known = name.startswith(WITH_TORCH) if dots == 2 else name.rpartition(".")[2] in neighbours
            assert known or name in (*SHARED, *LATER), name


def guarded(tmp_path: Path, code: str, *, root: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a process whose path ends with our installation, after the guard has been put in place."""
    start = (
        "import os, sys\n"
        # An editable install may name another tree of ours than this one, which can be a copy.
        f"sys.path[:] = [p for p in sys.path if p == {str(ROOT)!r} or not os.path.isdir(p + '/amp_runtime/probes')]\n"
        "from amp_runtime.probes import guard\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"guard.install({str(root or tmp_path)!r}, {str(ROOT)!r}, [{str(tmp_path)!r}])\n"
    )
    command = [sys.executable, "-P", "-c", start + code]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("name", ["stages", "reports", "stages.syntax", "reports.markdown"])
def test_our_stages_and_reports_do_not_exist_for_the_project(tmp_path: Path, name: str) -> None:
    done = guarded(tmp_path, f"import {name}")
    assert f"No module named '{name.partition('.')[0]}'" in done.stderr


@pytest.mark.parametrize("name", ["stages", "reports", "verifier", "amp_runtime"])
def test_the_projects_own_package_of_such_a_name_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("mine = 1\n", encoding="utf-8")
    assert guarded(tmp_path, f"import {name}; assert {name}.mine").returncode == 0


def test_a_folder_without_an_init_file_is_the_projects_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "amp_runtime").mkdir()
    (tmp_path / "amp_runtime" / "a.py").write_text("mine = 1\n", encoding="utf-8")
    assert guarded(tmp_path, "import amp_runtime.a").returncode == 0
    assert "No module named 'amp_runtime.wire'" in guarded(tmp_path, "import amp_runtime.wire").stderr


def test_a_project_that_depends_on_our_library_may_import_it(tmp_path: Path) -> None:
    done = guarded(tmp_path, "import verifier.api, amp_runtime.wire")
    assert done.returncode == 0, done.stderr


def test_nothing_is_hidden_where_the_project_is_our_installation(tmp_path: Path) -> None:
    assert guarded(tmp_path, "import stages, reports", root=ROOT).returncode == 0


def test_another_finder_may_still_answer(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "stages").mkdir(parents=True)
    (elsewhere / "stages" / "__init__.py").write_text("mine = 1\n", encoding="utf-8")
    finder = (
        "import importlib.machinery\n"
        "class Editable:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        return importlib.machinery.PathFinder.find_spec(name, [{str(elsewhere)!r}])\n"
        "sys.meta_path.append(Editable())\n"
        "import stages; assert stages.mine\n"
    )
    done = guarded(tmp_path, finder)
    assert done.returncode == 0, done.stderr
