"""What stage 1 says of lint: which errors count, which are explained, and what the gate makes of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from stages._source import programs
from stages._source.ruff import binary
from stages.syntax.lint import check
from stages.syntax.lint.selection import SELECT
from stages.syntax.stage import STAGE
from tests.builders import run_stage
from verifier.api import Config, Finding, Gate, GateStatus, Severity, StageOutcome
from verifier.scoring import settle_gate


def run(root: Path, files: dict[str, str], **context: Any) -> StageOutcome:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    return run_stage(STAGE, root, list(files), **context)


def errors(outcome: StageOutcome) -> list[Finding]:
    return [finding for finding in outcome.findings if finding.rule == "LNT001"]


def codes(outcome: StageOutcome) -> list[str]:
    return sorted(finding.symbol or "" for finding in errors(outcome))


def gate(outcome: StageOutcome) -> Gate:
    (found,) = [item for item in outcome.gates if item.name == "lint"]
    return settle_gate(found, outcome.findings, Severity.HIGH)


def unused(*names: str) -> str:
    return "".join(f"import {name}\n" for name in names)


@pytest.mark.parametrize(("count", "status"), [(0, GateStatus.PASS), (4, GateStatus.PASS), (5, GateStatus.FAIL)])
def test_fewer_than_five_errors_pass(tmp_path: Path, count: int, status: GateStatus) -> None:
    outcome = run(tmp_path, {"a.py": unused(*["os", "re", "json", "math", "time"][:count])})
    assert gate(outcome).status is status
    assert f"found {count} error" in gate(outcome).evidence
    assert outcome.facts["lint"]["errors"] == count


def test_errors_cost_no_points_and_one_rule_in_one_file_is_one_finding(tmp_path: Path) -> None:
    (found,) = errors(run(tmp_path, {"a.py": unused("os", "re", "json")}))
    assert found.severity is Severity.INFO
    assert found.message == "F401 `os` imported but unused; in 3 places in all"
    assert [(place.location.line, place.message) for place in found.related] == [
        (2, "`re` imported but unused"),
        (3, "`json` imported but unused"),
    ]


def test_the_places_of_one_finding_count_each(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"a.py": unused("os", "re", "json"), "b.py": unused("os", "re")})
    assert len(errors(outcome)) == 2
    assert gate(outcome).status is GateStatus.FAIL


def test_an_error_under_an_allow_comment_stands_alone(tmp_path: Path) -> None:
    text = "import os\nimport re  # verify: allow[LNT001] kept for the notebook\nimport json\n"
    found = errors(run(tmp_path, {"a.py": text}))
    assert sorted((item.location.line, len(item.related)) for item in found) == [(1, 1), (2, 0)]


def test_a_large_tree_gets_one_finding_a_rule(tmp_path: Path) -> None:
    files = {f"m{number}.py": unused("os") for number in range(201)}
    (found,) = errors(run(tmp_path, files))
    assert "in 201 places of 201 files in all" in found.message
    assert found.evidence[0].data == {"code": "F401", "places": 201}


def test_the_projects_own_configuration_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ruff.toml").write_text('exclude = ["*.py"]\n[lint]\nignore = ["ALL"]\n')
    monkeypatch.setenv("RUFF_OUTPUT_FILE", str(tmp_path / "elsewhere"))
    assert codes(run(tmp_path, {"a.py": unused("os")})) == ["F401"]
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / ".ruff_cache").exists()


def test_per_file_ignores_leave_files_out(tmp_path: Path) -> None:
    config = Config(root=tmp_path, per_file_ignores={"scripts/*": ("LNT",)})
    outcome = run(tmp_path, {"scripts/a.py": unused("os"), "b.py": unused("re")}, config=config)
    assert [finding.location.path for finding in errors(outcome)] == ["b.py"]
    assert outcome.facts["lint"]["files"] == 1


def test_a_name_that_scope_reports_is_not_repeated(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"a.py": "def f():\n    print(value)\n    value = 1\n\n\nmissing\n"})
    assert {finding.rule for finding in outcome.findings} == {"SCP001", "SCP003"}


def test_a_file_that_does_not_compile_is_not_read(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"a.py": "def f(:\n", "b.py": unused("os")})
    assert [finding.location.path for finding in errors(outcome)] == ["b.py"]
    assert outcome.facts["lint"]["files"] == 1


def test_syntax_newer_than_what_is_required_is_an_error(tmp_path: Path) -> None:
    text = "def f(x):\n    match x:\n        case 1:\n            return 2\n"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.9,<4"\n')
    (found,) = errors(run(tmp_path, {"a.py": text}))
    assert (found.symbol, found.location.line) == ("invalid-syntax", 2)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\n')
    assert errors(run(tmp_path, {"a.py": text})) == []


@pytest.mark.parametrize("candidates", [[], ["/nowhere/ruff"]])
def test_without_ruff_the_gate_is_deferred_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, candidates: list[str]
) -> None:
    monkeypatch.setattr(binary, "candidates", lambda _name, _root: [Path(path) for path in candidates])
    outcome = run(tmp_path, {"a.py": unused("os", "re", "json", "math", "time")})
    assert gate(outcome).status is GateStatus.DEFERRED
    assert "pip install" in gate(outcome).evidence
    assert errors(outcome) == []


def test_a_ruff_that_refuses_the_options_defers_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ruff = binary.find_ruff(tmp_path)
    assert ruff is not None
    old = tmp_path / "ruff"
    old.write_text(f'#!/bin/sh\nword=$1; shift\nexec {ruff.path} "$word" --select ZZZ99 "$@"\n')
    old.chmod(0o755)
    monkeypatch.setattr(check, "find_ruff", lambda _root: binary.Ruff(old, "0.1.0"))
    settled = gate(run(tmp_path, {"a.py": unused("os")}))
    assert settled.status is GateStatus.DEFERRED
    assert settled.evidence.startswith("ruff 0.1.0 does not take our options: ")
    assert "ZZZ99" in settled.evidence


def test_ruff_of_the_verified_tree_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ruff").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho ruff 9.9.9\n")
    (folder / "ruff").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(programs.sysconfig, "get_path", lambda _name: str(tmp_path / "none"))
    assert binary.find_ruff(tmp_path) is None
    assert not (tmp_path / "ran").exists()
    elsewhere = binary.find_ruff(tmp_path / "other")
    assert elsewhere is not None
    assert elsewhere.version == "9.9.9"


def test_every_selected_rule_is_known_to_ruff(tmp_path: Path) -> None:
    assert shutil.which("ruff") is not None or binary.find_ruff(tmp_path) is not None
    outcome = run(tmp_path, {"a.py": "x = 1\n"})
    assert gate(outcome).status is GateStatus.PASS
    assert len(set(SELECT)) == len(SELECT)
