from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stages.syntax import refused
from stages.syntax.stage import STAGE
from tests.builders import run_stage
from verifier.api import Finding, Gate, GateStatus, Severity

NEWER = {  # the first minor version that reads it, and code on whose first line it stands
    "type-statement": (12, "type X = int\n"),
    "generic-function": (12, "def f[T](x: T) -> T:\n    return x\n"),
    "generic-class": (12, "class C[T]:\n    pass\n"),
    "same-quotes": (12, 'd = {}\nf"{d["a"]}"\n'),
    "backslash": (12, "s = f\"{'\\n'.join([])}\"\n"),
    "line-break": (12, 's = f"{\n  1\n}"\n'),
    "default": (13, "def f[T = int](x: T) -> T:\n    return x\n"),
    "bare-except": (14, "try:\n    pass\nexcept OSError, ValueError:\n    pass\n"),
    "t-string": (14, 's = t"{1}"\n'),
}


def judged(root: Path, code: str, requires: str | None = None) -> tuple[Finding, Gate]:
    """Return the one finding about a module that CPython refuses, and the gate."""
    (root / "a.py").write_text(code, "utf-8")
    if requires is not None:
        (root / "pyproject.toml").write_text(f'[project]\nrequires-python = "{requires}"\n', "utf-8")
    outcome = run_stage(STAGE, root, ["a.py"])
    (finding,) = [item for item in outcome.findings if item.rule in {"SYN001", "SYN005"}]
    (gate,) = [gate for gate in outcome.gates if gate.name == "compilation"]
    return finding, gate


def newer_than_running() -> list[object]:
    return [pytest.param(*case, id=name) for name, case in NEWER.items() if case[0] > sys.version_info.minor]


@pytest.mark.parametrize(("minor", "code"), newer_than_running())
def test_syntax_that_every_admitted_python_has_defers_the_gate(minor: int, code: str, tmp_path: Path) -> None:
    finding, gate = judged(tmp_path, code, f">=3.{minor}")
    assert (finding.rule, finding.severity) == ("SYN005", Severity.INFO)
    assert f"Python 3.{minor} is needed" in finding.message
    assert gate.status is GateStatus.DEFERRED
    assert f"a.py needs Python 3.{minor}" in gate.evidence


@pytest.mark.parametrize(("minor", "code"), newer_than_running())
def test_syntax_that_an_admitted_python_refuses_is_an_error_that_names_the_version(
    minor: int, code: str, tmp_path: Path
) -> None:
    finding, gate = judged(tmp_path, code, f">=3.{minor - 1}")
    assert (finding.rule, finding.severity) == ("SYN001", Severity.CRITICAL)
    assert f"Python 3.{minor} has this syntax" in finding.message
    assert f"requires-python '>=3.{minor - 1}' admits Python 3.{minor - 1}" in finding.message
    assert gate.status is GateStatus.PASS  # the core fails it for the finding


def test_a_project_that_says_nothing_keeps_the_error(tmp_path: Path) -> None:
    finding, _ = judged(tmp_path, 's = t"{1}"\n')
    assert finding.rule == "SYN001"
    assert "Python 3.14 has this syntax (a template string), and the project does not say" in finding.message


def test_an_error_in_any_python_is_found_beside_newer_syntax(tmp_path: Path) -> None:
    finding, _ = judged(tmp_path, "try:\n    pass\nexcept A, B:\n    pass\n\nx = = 1\n", ">=3.14")
    assert (finding.rule, finding.location.line) == ("SYN001", 6)
    assert "for Python 3.14" in finding.message


def test_an_error_above_the_newer_syntax_is_not_explained_by_it(tmp_path: Path) -> None:
    finding, _ = judged(tmp_path, 'x = = 1\ns = t"{1}"\n', ">=3.14")
    assert (finding.rule, finding.location.line) == ("SYN001", 1)


def test_without_ruff_it_is_what_cpython_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "find_ruff", lambda root: None)
    finding, _ = judged(tmp_path, "x = = 1\ny = = 2\ns = t'{1}'\n", ">=3.14")
    assert (finding.rule, finding.location.line, finding.related) == ("SYN001", 1, ())


def test_a_file_that_ruff_does_not_survive_keeps_its_error(tmp_path: Path) -> None:
    terms = " + ".join(["1"] * 10_000)
    finding, _ = judged(tmp_path, f"x = {terms}\ny = = 1\nz = = 1\n")
    assert finding.rule == "SYN001"


def test_every_further_error_is_a_place_of_the_one_finding(tmp_path: Path) -> None:
    finding, _ = judged(tmp_path, "def a(:\n    pass\n\nx = = 3\n\ndef b()\n    return 1\n")
    assert (finding.rule, finding.location.line) == ("SYN001", 1)
    assert [item.location.line for item in finding.related] == [4, 6]
    assert finding.message.endswith("2 further syntax errors in this file")
