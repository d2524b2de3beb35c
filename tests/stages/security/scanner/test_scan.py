"""A scanner is bounded and believed only where its answer is whole; the real one finds what we do not know."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stages.security.scanner import program, scan
from stages.security.scanner.answers import AnswerError, read_answer
from stages.security.scanner.program import Scanner, find_scanner
from stages.security.scanner.scan import Scanned, Scanning
from stages.security.stage import STAGE
from tests.builders import run_stage, stage_context
from verifier.api import GateStatus, Severity

DONE = {"scan": {"state": "complete"}}
# a form that only the scanner knows
STRIPE = "sk_live_" + "51HqJ8vKZvKYlo2C3dEfGhIjKlMnOpQr"


def finding(**fields: object) -> dict[str, object]:
    place = {"path": "a.py", "start_line": 3, "start_column": 7}
    row = {"rule_id": "r", "description": "d", "confidence": "high", "match": {"value": "S3cret"}, "location": place}
    return {"finding": row | fields}


def answer(*rows: object) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def test_what_is_well_formed_is_read() -> None:
    (hit,) = read_answer(answer(finding(), DONE), {"a.py": "pkg/a.py"})
    assert (hit.path, hit.line, hit.column, hit.secret) == ("pkg/a.py", 3, 7, "S3cret")


@pytest.mark.parametrize(
    "row",
    [
        finding(location={"path": "../../etc/passwd", "start_line": 1}),
        finding(location=None),
        finding(match={"value": 3}),
        finding(match=None),
        {"finding": []},
    ],
)
def test_what_is_not_is_dropped(row: object) -> None:
    assert read_answer(answer(row, DONE), {"a.py": "a.py"}) == []


@pytest.mark.parametrize("output", [b"", b"leak!", b"[1]", answer(finding()), answer({"scan": {"state": "partial"}})])
def test_an_answer_that_is_not_whole_is_refused(output: bytes) -> None:
    with pytest.raises(AnswerError):
        read_answer(output, {"a.py": "a.py"})


def scanned(root: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Scanned:
    tool = root / "tool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(program, "find_scanner", lambda _root: Scanner(tool, "2.0", usable=True))
    (root / "a.py").write_text("x = 1\n")
    context = stage_context(root, ["a.py"])
    with Scanning(context, list(context.sources)) as scanning:
        return scanning.result()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec sleep 60", "did not finish it within"),
        ("exit 2", "failed on it with exit code 2"),
        ("kill -SEGV $$", "died of SIGSEGV"),
        ("exec yes", "died of SIGXFSZ"),
        ("echo nonsense", "no JSON"),
        ("true", "complete"),
    ],
)
def test_a_scanner_that_fails_says_why(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_BOUNDS", replace(scan._BOUNDS, time_s=0.5, output_bytes=4096))
    assert reason in scanned(tmp_path, monkeypatch, script).reason


def test_a_scanner_sees_the_bytes_that_were_read_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.py").write_text("x = 1\n")
    listed = tmp_path / "listed"
    scanned(tmp_path, monkeypatch, f"find . -type f > {listed}; cat a.py >> {listed}")
    assert listed.read_text() == "./a.py\nx = 1\n"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Scanner:
    found = find_scanner(tmp_path_factory.mktemp("root"))
    assert found is not None, "the extra `secrets` is not installed"
    return found


@pytest.mark.usefixtures("real")
def test_the_real_one_finds_a_form_that_we_do_not_know(tmp_path: Path) -> None:
    (tmp_path / "pay.py").write_text(f'import os\n\nKEY = "{STRIPE}"  # gitleaks:allow\n')
    outcome = run_stage(STAGE, tmp_path, ["pay.py"])
    assert [(item.rule, item.severity, item.location.line) for item in outcome.findings] == [
        ("SEC301", Severity.CRITICAL, 3)
    ]
    assert STRIPE not in repr(outcome)
    (gate,) = [gate for gate in outcome.gates if gate.name == "secrets"]
    assert (gate.status, "betterleaks" in gate.evidence) == (GateStatus.PASS, True)
