from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from reports import concise
from tests import golden
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples
from tests.reports.hostile_report import hostile_report
from tests.reports.parsed import hostile
from verifier.api import Deferred, Gate, GateStatus, StageStatus

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_lines_are_the_accepted_ones(kind):
    golden.check(GOLDEN / kind / "report.txt", concise.render(getattr(samples, kind)()))


def test_a_finding_is_one_line_in_order_of_place():
    late, early = (reported(finding("SCP001", at, message="boom")) for at in ("a.py:12:3", "a.py:2:7"))
    lines = concise.render(run_report(stage_result(late, early))).splitlines()
    assert lines[:2] == ["a.py:2:7: SCP001 [CRITICAL] boom", "a.py:12:3: SCP001 [CRITICAL] boom"]


def test_the_last_line_sums_up():
    deferred = (Deferred(stage="performance", gate="speedup", reason="needs CUDA"),)
    last = concise.render(run_report(stage_result(reported()), deferred=deferred)).splitlines()[-1]
    assert last == "T035: BLOCK 42/100, 1 finding (1 CRITICAL; 1 blocking), 1 gate deferred"


def test_a_clean_run_is_one_line():
    assert concise.render(run_report(stage_result())) == "T035: PASS 100/100, 0 findings\n"


def test_what_blocks_without_a_finding_has_a_line():
    gate = Gate(name="tests", requirement="tests pass", status=GateStatus.FAIL, evidence="none collected")
    stages = (
        stage_result(gates=(gate,), status=StageStatus.FAILED),
        stage_result(number=3, name="integration", status=StageStatus.ERRORED, reason="killed"),
    )
    assert concise.render(run_report(*stages)).splitlines()[:2] == [
        "T035: gate syntax:tests FAIL: none collected",
        "T035: stage integration ERRORED: killed",
    ]


@settings(max_examples=60, deadline=None)
@given(hostile())
def test_no_text_makes_a_line_or_leaves_a_control_character(text):
    plain, attacked = concise.render(hostile_report("x")), concise.render(hostile_report(text))
    assert len(attacked.splitlines()) == len(plain.splitlines()) == attacked.count("\n")
    assert all(line.isprintable() for line in attacked.split("\n"))
