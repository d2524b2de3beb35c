from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree as ET

import junitparser
import pytest
from hypothesis import example, given, settings

from reports import junit
from tests import golden
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples
from tests.reports.hostile_report import hostile_report
from tests.reports.parsed import hostile
from verifier.api import Gate, GateStatus, NotRun, StageStatus, Suppressed

GOLDEN = Path(__file__).parent / "golden"


def read(report):
    return junitparser.JUnitXml.fromstring(junit.render(report).encode())


def results(report):
    """Return (name, outcomes) of every case, as an independent reader finds them."""
    return [(case.name, [type(one).__name__ for one in case.result]) for suite in read(report) for case in suite]


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_document_is_the_accepted_one(kind):
    golden.check(GOLDEN / kind / "junit.xml", junit.render(getattr(samples, kind)()))


def test_an_independent_reader_counts_what_the_document_says():
    found = read(samples.blocked())
    cases = [case for suite in found for case in suite]
    kinds = [type(one).__name__ for case in cases for one in case.result]
    assert (found.tests, found.failures, found.errors) == (len(cases), kinds.count("Failure"), kinds.count("Error"))
    for suite in found:
        assert suite.tests == len(list(suite))


def test_gates_and_findings_are_cases():
    gates = tuple(Gate(name=one.name.lower(), requirement="r", status=one, evidence="seen") for one in GateStatus)
    noted = reported(finding("LNT001", "b.py:2", "INFO"), "unused-import")
    stage = stage_result(reported(finding("SCP001", "a.py:3")), noted, gates=gates)
    assert results(run_report(stage)) == [
        ("verdict", ["Failure"]),
        ("stage", []),
        ("pass: r", []),
        ("warn: r", []),
        ("fail: r", ["Failure"]),
        ("deferred: r", ["Skipped"]),
        ("SCP001 undefined-name at a.py:3", ["Failure"]),
        ("LNT001 unused-import at b.py:2", []),
    ]


def test_what_did_not_run_is_no_silent_pass():
    stages = (
        stage_result(status=StageStatus.ERRORED, reason="killed"),
        stage_result(number=3, name="integration", status=StageStatus.SKIPPED, reason="needs syntax"),
        stage_result(number=4, name="performance", status=StageStatus.DEFERRED),
    )
    silenced = Suppressed(stage="syntax", finding=reported(blocking=False), reason="on purpose", line=2)
    report = run_report(*stages, not_run=(NotRun(number=2, name="logic", reason="left out"),), suppressed=(silenced,))
    assert [outcome for _, outcome in results(report)] == [
        ["Failure"],
        ["Error"],
        ["Skipped"],
        ["Error"],
        ["Skipped"],
        ["Skipped"],
    ]


def test_a_run_that_passed_has_no_failure():
    found = read(samples.passed())
    assert (found.failures, found.errors) == (0, 0)


@settings(max_examples=60)
@given(hostile())
@example("\x00\x0b\ufffe\ud800]]>&<!--")
def test_both_readers_take_any_text(text):
    document = junit.render(hostile_report(text))
    root = ET.fromstring(document.encode())
    found = junitparser.JUnitXml.fromstring(document.encode())
    assert found.tests == len(list(root.iter("testcase")))


def test_a_time_that_is_no_number_is_none():
    assert 'time="0.000"' in junit.render(run_report(stage_result(duration_s=math.inf)))
