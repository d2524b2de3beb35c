from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from reports import gitlab
from tests import golden
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples
from verifier.api import Gate, GateStatus, StageStatus

GOLDEN = Path(__file__).parent / "golden"
# What GitLab's documentation says of an entry, as a schema.
LINES = {"type": "object", "required": ["begin"], "properties": {"begin": {"type": "integer", "minimum": 1}}}
PLACE = {"type": "object", "required": ["path", "lines"], "properties": {"path": {"pattern": "^[^/.]"}, "lines": LINES}}
ENTRY = {
    "type": "object",
    "required": ["description", "check_name", "fingerprint", "severity", "location"],
    "properties": {
        "description": {"type": "string", "minLength": 1},
        "check_name": {"type": "string", "minLength": 1},
        "fingerprint": {"type": "string", "minLength": 8},
        "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
        "location": PLACE,
    },
}
VALIDATOR = jsonschema_rs.validator_for({"type": "array", "items": ENTRY})


def entries(report):
    found = json.loads(gitlab.render(report))
    VALIDATOR.validate(found)
    return found


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_document_is_the_accepted_one(kind):
    report = getattr(samples, kind)()
    golden.check(GOLDEN / kind / "gl-code-quality-report.json", gitlab.render(report))
    entries(report)


def test_nothing_found_is_an_empty_list():
    assert gitlab.render(run_report(stage_result())) == "[]\n"


def test_severities_have_their_names_there():
    levels = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO")
    stage = stage_result(*(reported(finding(severity=level, message=level)) for level in levels))
    assert [one["severity"] for one in entries(run_report(stage))] == ["blocker", "critical", "major", "minor", "info"]


def test_no_fingerprint_stands_twice():
    twice = reported(finding())
    found = entries(run_report(stage_result(twice, twice, twice), stage_result(twice, number=2, name="logic")))
    assert len({one["fingerprint"] for one in found}) == len(found) == 4


def test_a_stage_that_broke_off_is_no_empty_list():
    gate = Gate(name="tests", requirement="pass", status=GateStatus.FAIL, evidence="none collected")
    failed = stage_result(status=StageStatus.FAILED, gates=(gate,))
    broken = stage_result(number=3, name="integration", status=StageStatus.ERRORED, reason="killed")
    said = [(one["description"], one["severity"]) for one in entries(run_report(failed, broken))]
    assert said == [
        ("gate syntax:tests FAIL: none collected", "blocker"),
        ("stage integration ERRORED: killed", "blocker"),
    ]


def test_a_finding_of_the_whole_project_stands_at_some_file():
    stage = stage_result(reported(finding(at=".")), reported(finding(at="./a.py", message="x")))
    assert [one["location"]["path"] for one in entries(run_report(stage))] == ["pkg/a.py", "a.py"]
