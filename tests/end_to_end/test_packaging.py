"""Wheel and sdist hold what they should, and work where nothing of this repository is: no clone, no torch, no tools.

The environment that the wheel is installed into is empty but for the distributions that its own metadata asks for
(no extra), copied from the environment of the tests, so that the test needs no network and a dependency that was
forgotten in pyproject.toml is missed there.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import verifier

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests/projects/plugin_example"
PACKAGES = ("verifier", "stages", "amp_runtime", "reports")
NEEDED = (  # what is no module, and what only a child process loads
    "reports/report.schema.json",
    "reports/templates/report.md.j2",
    "amp_runtime/probes/bootstrap.py",
    *(f"{package}/py.typed" for package in PACKAGES),
)
FOREIGN = {
    "pyproject.toml": '[project]\nname = "trainer"\nversion = "1"\ndependencies = ["torch>=2"]\n',
    "trainer/__init__.py": "",
    "trainer/loop.py": "import torch\n\nfrom trainer.steps import nothing\n\n\ndef run():\n    print(nothing, torch)\n",
    "trainer/steps.py": "# SPDX-License-Identifier: MIT\ndef step():\n    return undefined\n",
    "trainer/half.py": "def broken(:\n    pass\n",
}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def built(folder: Path, *arguments: str, source: Path = ROOT) -> list[Path]:
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, *arguments, source, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(folder.iterdir())


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith(".dist-info/RECORD")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (wheel,) = built(tmp_path_factory.mktemp("wheel"), "--wheel")
    return wheel


@pytest.fixture(scope="module")
def from_sdist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build as a publisher does: the sdist first, and a wheel from the sdist alone."""
    sdist, wheel = sorted(built(tmp_path_factory.mktemp("sdist")), key=lambda path: path.suffix)
    return sdist, wheel


def closure(requirements: list[str]) -> set[str]:
    """Return the distributions that the requirements need here, extras and other platforms left out."""
    found: set[str] = set()
    todo = [Requirement(one) for one in requirements]
    while todo:
        requirement = todo.pop()
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name not in found:
            found.add(requirement.name)
            todo += [Requirement(one) for one in metadata.requires(requirement.name) or []]
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Return the folder of an environment with our wheel, the example plugin, what the wheel requires, no more."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (name,) = [name for name in contents(wheel) if name.endswith(".dist-info/METADATA")]
    asked = re.findall(r"^Requires-Dist: (.+)$", contents(wheel)[name].decode(), re.MULTILINE)
    for distribution in sorted(closure(asked)):
        for file in metadata.files(distribution) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts and "tests" not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), site / file)
    (plugin,) = built(tmp_path_factory.mktemp("plugin"), "--wheel", "--skip-dependency-check", source=PLUGIN)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin/python")
    installed = run(*pip, "install", "--no-index", "--no-compile", wheel, plugin, cwd=folder)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    agreed = run(*pip, "check", cwd=folder)
    assert agreed.returncode == 0, agreed.stdout
    return folder


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    for name, text in FOREIGN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def reported(environment: Path, root: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = run(environment / "bin/verify", *arguments, "--format", "json", "--output", "-", cwd=root)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_wheel_holds_every_module_and_what_modules_read_and_nothing_else(wheel: Path) -> None:
    held = {name for name in contents(wheel) if ".dist-info/" not in name}
    there = {path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()}
    assert held == {path.as_posix() for path in there if "__pycache__" not in path.parts}
    assert held >= set(NEEDED)


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    held = {name.rpartition("/")[2]: text.decode() for name, text in contents(wheel).items() if ".dist-info/" in name}
    assert f"\nVersion: {verifier.__version__}\n" in held["METADATA"]
    assert "\nRequires-Python: >=3.11\n" in held["METADATA"]
    assert "verify = verifier.cli:entry" in held["entry_points.txt"]
    assert "[verifier.plugins]" in held["entry_points.txt"]


def test_the_sdist_builds_the_same_wheel_and_carries_tests_and_pages(
    wheel: Path, from_sdist: tuple[Path, Path]
) -> None:
    sdist, again = from_sdist
    assert contents(again) == contents(wheel)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "Makefile", "constraints.txt", "docs/rules/SCP001.md"} <= names
    assert {"tests/conftest.py", "tests/projects/plugin_example/pyproject.toml"} <= names


def test_it_checks_a_foreign_project(environment: Path, foreign: Path) -> None:
    code, report = reported(environment, foreign, "check", ".")
    assert (code, report["verdict"], report["environment"]["torch"]) == (1, "BLOCK", None)
    found = {(item["rule"], item["path"], item["line"], item["severity"]) for item in report["stages"][0]["findings"]}
    assert found >= {
        ("SYN001", "trainer/half.py", 1, "CRITICAL"),
        ("SCP001", "trainer/steps.py", 3, "CRITICAL"),
        ("IMP001", "trainer/loop.py", 3, "CRITICAL"),
        ("IMP002", "trainer/loop.py", 1, "INFO"),
    }
    assert report["source"]["files"]


def test_it_writes_its_reports_from_the_templates_it_brought(environment: Path, foreign: Path) -> None:
    done = run(environment / "bin/verify", "check", ".", "--output", "out", cwd=foreign)
    assert (done.returncode, done.stderr.count("Traceback")) == (1, 0)
    assert "`undefined`" in (foreign / "out/report.md").read_text()
    assert {path.name for path in (foreign / "out").iterdir()} >= {"report.md", "report.json", "syntax.md", "house.md"}


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("def run():\n    return 1\n", "PASSED", 0),
        ("def run():\n    return 1\n\n\n__import__('os')._exit(0)\n", "FAILED", 1),
    ],
)
def test_its_harness_runs_code_from_where_it_was_installed(
    environment: Path, tmp_path: Path, text: str, status: str, code: int
) -> None:
    (tmp_path / "loop.py").write_text(text)
    (tmp_path / "verifier.toml").write_text('[tasks.T1]\ntitle = "t"\nfiles = ["loop.py"]\n')
    ended, report = reported(environment, tmp_path, "T1")
    assert {stage["name"]: stage["status"] for stage in report["stages"]}["integration"] == status
    assert ended == code


def test_without_torch_a_workload_that_needs_it_is_errored(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text("def run(amp, seed):\n    import torch\n\n    return torch\n")
    (tmp_path / "verifier.toml").write_text('[tasks.T1]\ntitle = "t"\nfiles = ["loop.py"]\nworkloads = ["loop:run"]\n')
    ended, report = reported(environment, tmp_path, "T1")
    (stage,) = [stage for stage in report["stages"] if stage["name"] == "integration"]
    assert (ended, stage["status"]) == (1, "ERRORED")
    assert "torch" in json.dumps(stage)


def test_a_plugin_that_was_installed_is_listed_with_its_origin(environment: Path, tmp_path: Path) -> None:
    stages = run(environment / "bin/verify", "stages", cwd=tmp_path).stdout
    assert (
        "20 house        reads only: Do the files keep the rules of the house? (from verify-house-rules 1.0)" in stages
    )
    assert "    licences           every file names its licence" in stages
    rules = run(environment / "bin/verify", "rules", cwd=tmp_path).stdout
    origins = [line.split()[0] for line in rules.splitlines() if line.endswith("from verify-house-rules 1.0")]
    assert origins == ["HSE001", "HSE002"]
    page = run(environment / "bin/verify", "explain", "HSE002", cwd=tmp_path).stdout
    assert "print-in-training-code" in page
    assert "verify-house-rules 1.0" in page


def test_a_plugin_takes_part_in_a_check(environment: Path, foreign: Path) -> None:
    _, report = reported(environment, foreign, "check", ".")
    assert report["tool"]["plugins"] == ["verify-house-rules 1.0"]
    syntax, *_, house = report["stages"]
    assert ("HSE002", "trainer/loop.py", 7) in [
        (item["rule"], item["path"], item["line"]) for item in syntax["findings"]
    ]
    assert [(item["rule"], item["path"]) for item in house["findings"]] == [
        ("HSE001", "trainer/half.py"),
        ("HSE001", "trainer/loop.py"),
    ]
    assert [(gate["name"], gate["status"]) for gate in house["gates"]] == [("licences", "WARN")]


def test_a_plugin_brings_a_format_that_stands_beside_ours(environment: Path, foreign: Path) -> None:
    printed = run(environment / "bin/verify", "check", ".", "--format", "csv", "--output", "-", cwd=foreign)
    head, *rows = csv.reader(io.StringIO(printed.stdout))
    assert (printed.returncode, head[:2]) == (1, ["stage", "rule"])
    _, report = reported(environment, foreign, "check", ".")
    found = [(stage["name"], item["rule"]) for stage in report["stages"] for item in stage["findings"]]
    assert [(row[0], row[1]) for row in rows] == found
    written = run(environment / "bin/verify", "check", ".", "--format", "csv,json", "--output", "both", cwd=foreign)
    assert written.returncode == 1
    assert (foreign / "both/report.csv").read_text() == printed.stdout


def test_the_pages_of_a_plugin_are_true(environment: Path, tmp_path: Path) -> None:
    rules = json.loads(run(environment / "bin/verify", "rules", "--format", "json", cwd=tmp_path).stdout)
    for rule in [rule for rule in rules if rule["plugin"] == "verify-house-rules 1.0"]:
        for example in rule["examples"]:
            folder = tmp_path / rule["code"] / example["kind"]
            folder.mkdir(parents=True)
            for path, text in example["files"].items():
                (folder / path).write_text(text)
            _, report = reported(environment, folder, "check", ".", "--select", rule["code"])
            found = [item for stage in report["stages"] for item in stage["findings"]]
            assert bool(found) == (example["kind"] == "bad")
