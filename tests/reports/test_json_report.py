from __future__ import annotations

import json
import math
from copy import deepcopy
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import example, given, settings

from reports import json_report
from tests import golden
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples
from tests.reports.hostile_report import hostile_report
from tests.reports.parsed import hostile
from verifier.api import Evidence, StageStatus

GOLDEN = Path(__file__).parent / "golden"
VALIDATOR = jsonschema_rs.validator_for(dict(json_report.schema()))
BLOCKED = json.loads(json_report.render(samples.blocked()))


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_document_is_the_accepted_one_and_valid(kind):
    text = json_report.render(getattr(samples, kind)())
    golden.check(GOLDEN / kind / "report.json", text)
    VALIDATOR.validate(json.loads(text))


def test_the_schema_is_a_schema():
    jsonschema_rs.meta.validate(dict(json_report.schema()))


def test_the_keys_are_those_of_the_contract_in_its_order():
    assert list(BLOCKED) == [
        *("schema", "task", "title", "verdict", "score", "tool", "source", "environment", "stages"),
        *("acceptance", "suppressed", "not_run", "deferred"),
    ]
    assert list(BLOCKED["stages"][0]) == [
        *("number", "name", "title", "status", "score", "checks_run", "duration_s", "gates", "findings", "facts"),
    ]
    own = {"why", "impact"}
    assert [key for key in BLOCKED["stages"][0]["findings"][0] if key not in own] == [
        *("rule", "name", "severity", "blocking", "message", "path", "line", "column", "end_line", "symbol"),
        *("related", "evidence", "remediation", "fix", "fingerprint"),
    ]


def required_keys(schema, place=()):
    """Every `(path of keys, key)` that the schema of a document demands, arrays entered at their first item."""
    schema = json_report.schema()["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    for key in schema.get("required", ()):
        yield (*place, key)
    for key, inner in schema.get("properties", {}).items():
        yield from required_keys(inner, (*place, key))
    if "items" in schema:
        yield from required_keys(schema["items"], (*place, 0))


def holder(document, place):
    for step in place[:-1]:
        document = document[step]
    return document


FULL = json.loads(json_report.render(hostile_report("x")))
FULL["tool"]["shard"] = {"number": 1, "of": 2, "tasks": ["x"], "choices": {}}  # as with --shard
VALIDATOR.validate(FULL)
PLACES = sorted(set(required_keys(dict(json_report.schema()))), key=str)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_document_that_lacks_a_required_key_is_refused(place):
    document = deepcopy(FULL)
    del holder(document, place)[place[-1]]
    assert not VALIDATOR.is_valid(document)


def closed(place):
    return place[0] not in ("tool", "environment") and "facts" not in place[:-1] and "data" not in place[:-1]


@pytest.mark.parametrize("place", [place for place in PLACES if closed(place)], ids=str)
def test_a_closed_object_takes_no_further_key(place):
    document = deepcopy(FULL)
    holder(document, place)["surprise"] = 1
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("verdict",), "MAYBE"),
        (("score",), 101),
        (("stages", 0, "status"), "OK"),
        (("stages", 0, "duration_s"), "nan"),
        (("stages", 0, "findings", 0, "line"), 0),
        (("stages", 0, "findings", 0, "rule"), "SCP1"),
        (("stages", 0, "findings", 0, "fix"), "perhaps"),
        (("stages", 0, "findings", 0, "evidence", 0, "kind"), "rumour"),
        (("source", "files", 0, "sha256"), "abc"),
        (("acceptance", 0, "status"), "PASS"),
    ],
)
def test_a_wrong_value_is_refused(place, value):
    document = deepcopy(FULL)
    holder(document, place)[place[-1]] = value
    assert not VALIDATOR.is_valid(document)


@settings(max_examples=60, deadline=None)
@given(hostile())
@example("\ud800")
def test_any_text_comes_back_from_valid_json(text):
    written = json_report.render(hostile_report(text))
    document = json.loads(written)
    jsonschema_rs.validator_for(dict(json_report.schema())).validate(document)
    assert document["task"] == text.encode("utf-8", "backslashreplace").decode("utf-8")
    assert written.endswith("}\n")


def test_what_hides_in_a_terminal_is_escaped():
    written = json_report.render(run_report(task="a\u202eb\x9b\u200b"))
    assert "a\\u202eb\\u009b\\u200b" in written
    assert json.loads(written)["task"] == "a\u202eb\x9b\u200b"


def test_numbers_that_are_not_finite_are_text():
    data = {"loss": [math.nan, math.inf, -math.inf, 1.5], "deep": {"x": math.nan}}
    evidence = (Evidence(kind="measurement", summary="seen", data=data),)
    stage = stage_result(reported(finding(evidence=evidence)), facts=data, duration_s=math.inf)
    document = json.loads(json_report.render(run_report(stage)))
    VALIDATOR.validate(document)
    expected = {"loss": ["NaN", "Infinity", "-Infinity", 1.5], "deep": {"x": "NaN"}}
    assert document["stages"][0]["facts"] == expected
    assert document["stages"][0]["findings"][0]["evidence"][0]["data"] == expected
    assert document["stages"][0]["duration_s"] == "Infinity"


def test_a_reason_stands_only_where_there_is_one():
    silent, told = (
        json.loads(
            json_report.render(
                run_report(stage_result(status=StageStatus.ERRORED, reason=reason, internal=bool(reason)))
            )
        )
        for reason in ("", "killed")
    )
    assert "reason" not in silent["stages"][0]
    assert (told["stages"][0]["reason"], told["stages"][0]["internal"]) == ("killed", True)
    VALIDATOR.validate(told)


def test_files_stand_in_path_order():
    document = json.loads(json_report.render(run_report(files={"b.py": 1, "a.py": 2})))
    assert [file["path"] for file in document["source"]["files"]] == ["a.py", "b.py"]
