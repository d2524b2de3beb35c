"""The in-toto statement: read by in-toto's own library, with every gate in one list and every file a subject."""

from __future__ import annotations

import hashlib
import json

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from reports import intoto, json_report
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples
from tests.reports.hostile_report import hostile_report
from verifier.api import Gate, GateStatus, NotRun, RunReport, StageStatus

GATES = tuple(
    Gate(name=status.lower(), requirement="r", status=status, evidence="e")
    for status in (GateStatus.PASS, GateStatus.WARN, GateStatus.DEFERRED)
)


@pytest.mark.parametrize("report", [samples.blocked(), samples.passed()], ids=["blocked", "passing"])
def test_in_totos_own_library_takes_it(report: RunReport) -> None:
    written = intoto.render(report)
    read = json_format.Parse(written, statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    predicate = json.dumps(json.loads(written)["predicate"])
    result = json_format.Parse(predicate, test_result_pb2.TestResult())
    assert result.result == ("FAILED" if report.verdict.value == "BLOCK" else result.result)
    names = [*result.passed_tests, *result.warned_tests, *result.failed_tests]
    gates = [f"{stage.name}:{gate.name}" for stage in report.stages for gate in stage.gates]
    stages = [stage.name for stage in (*report.stages, *report.not_run)]
    assert sorted(names) == sorted([*gates, *stages])


def test_the_subjects_are_the_files_and_the_report_is_named_by_its_digest() -> None:
    report = samples.passed()
    statement = intoto.statement(report)
    assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == {
        file.path: file.sha256 for file in report.source.files
    }
    told = {one["name"]: one for one in statement["predicate"]["configuration"]}
    assert told["report.json"]["digest"]["sha256"] == hashlib.sha256(json_report.render(report).encode()).hexdigest()
    assert told["verify-amp"]["uri"].startswith("pkg:pypi/verify-amp@")


@pytest.mark.parametrize(
    ("report", "result"),
    [
        (run_report(stage_result(gates=GATES[:1])), "PASSED"),
        (run_report(stage_result(gates=GATES[:2])), "WARNED"),
        (run_report(stage_result(gates=GATES[2:])), "WARNED"),
        (run_report(stage_result(), not_run=(NotRun(number=2, name="logic", reason="r"),)), "WARNED"),
        (run_report(stage_result(reported(finding()))), "FAILED"),
        (run_report(stage_result(status=StageStatus.SKIPPED, reason="r")), "FAILED"),
        (run_report(stage_result(status=StageStatus.ERRORED, reason="r")), "FAILED"),
    ],
)
def test_what_was_not_decided_never_passes(report: RunReport, result: str) -> None:
    predicate = intoto.statement(report)["predicate"]
    assert predicate["result"] == result
    passed = {"syntax"} if report.stages[0].status is StageStatus.PASSED else set()
    assert set(predicate["passedTests"]) <= {*passed, "syntax:pass"}


def test_names_from_the_verified_code_stay_values() -> None:
    report = hostile_report('"}],"predicate":{"result":"PASSED"}\x1b[0m\u202e')
    predicate = json.loads(intoto.render(report))["predicate"]
    assert predicate["result"] == "FAILED"
    assert "\x1b" not in intoto.render(report)
    json_format.Parse(intoto.render(report), statement_pb2.Statement())
