"""A report is the same after it was written and read again."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from reports import json_report
from tests.builders import finding, reported, run_report, stage_result
from verifier.errors import UsageError
from verifier.model.finding import Evidence
from verifier.model.report import Acceptance, Deferred, NotRun, Proof, Suppressed
from verifier.model.stage import Gate, GateStatus, StageStatus
from verifier.saved.restoring import restored, restored_from

ITEM = finding(
    related=(("pkg/b.py:7", "here too"),),
    evidence=(Evidence(kind="measurement", summary="s", data={"x": float("nan"), "y": [1, 2.5, None, True]}),),
    why="w",
    impact="i",
    remediation="r",
    symbol="s\u202e\ud800",
    fix="unsafe",
)
REPORT = run_report(
    stage_result(reported(ITEM), gates=(Gate(name="g", requirement="r", status=GateStatus.FAIL, evidence="e"),)),
    stage_result(number=3, name="integration", status=StageStatus.ERRORED, reason="it broke", internal=True),
    acceptance=(Acceptance(text="t", status=Proof.NOT_PROVEN, proven_by=("syntax:g",), evidence="e"),),
    suppressed=(
        Suppressed(stage="syntax", finding=reported(finding(severity="LOW")), reason="r", line=3, until="2030-01-31"),
    ),
    not_run=(NotRun(number=2, name="logic", reason="left out by --stage"),),
    deferred=(Deferred(stage="integration", gate="cuda", reason="needs CUDA"),),
)
DOCUMENT = json.loads(json_report.render(REPORT))


def test_what_is_read_again_is_written_the_same(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json_report.render(REPORT))
    assert json_report.render(restored(path, {})) == path.read_text()


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    here = [at] if at else []
    if isinstance(value, dict):
        return here + [place for key, item in value.items() for place in _places(item, (*at, key))]
    if isinstance(value, list):
        return here + [place for key, item in enumerate(value) for place in _places(item, (*at, key))]
    return here


@pytest.mark.parametrize("wrong", [[], {}, "x", -1, 1.5])
def test_whatever_is_another_kind_of_value_is_refused_or_taken_and_never_a_traceback(wrong: object) -> None:
    refused = 0
    for place in _places(DOCUMENT):
        changed = copy.deepcopy(DOCUMENT)
        inside = changed
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = wrong
        said = _said_of(changed)
        refused += said is not None
        assert said is None or said.startswith("r.json: ")
    assert refused > 20


def _said_of(document: dict[str, Any]) -> str | None:
    try:
        restored_from(Path("r.json"), document, {})
    except UsageError as error:
        return str(error)
    return None
