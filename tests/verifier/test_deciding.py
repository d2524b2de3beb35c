"""`--require-device` and `--strict` turn gates that were left open into failures, by exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.verifier.measuring import make_project, verify


@pytest.mark.parametrize(
    ("arguments", "code"), [((), 0), (("--require-device", "cpu"), 0), (("--require-device", "cuda"), 1)]
)
def test_a_gate_that_waits_for_a_device_blocks_where_that_device_is_required(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    project = make_project(tmp_path, status="DEFERRED", lacks=["cuda"])
    assert verify(project, *arguments).returncode == code
    report = json.loads((project / ".verify/reports/T/report.json").read_text())
    assert report["stages"][-1]["gates"][0]["status"] == ("FAIL" if code else "DEFERRED")
    assert len(report["deferred"]) == (0 if code else 1)
    assert ("--require-device cuda" in report["stages"][-1]["gates"][0]["evidence"]) is bool(code)


def test_a_gate_deferred_for_another_reason_stays_deferred(tmp_path: Path) -> None:
    assert verify(make_project(tmp_path, status="DEFERRED"), "--require-device", "cuda").returncode == 0


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 1)])
def test_an_inconclusive_gate_fails_by_strict(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    assert verify(make_project(tmp_path, status="WARN"), *arguments).returncode == code


def test_an_unknown_device_is_exit_2(tmp_path: Path) -> None:
    done = verify(make_project(tmp_path), "--require-device", "tpu")
    assert done.returncode == 2
    assert "cuda" in done.stderr
