from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports import json_lines, json_report
from tests import golden
from tests.reports import samples

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_lines_are_the_accepted_ones(kind):
    golden.check(GOLDEN / kind / "report.jsonl", json_lines.render(getattr(samples, kind)()))


def test_a_line_is_the_finding_of_the_report_and_the_last_one_the_verdict():
    rows = [json.loads(line) for line in json_lines.render(samples.blocked()).splitlines()]
    whole = json.loads(json_report.render(samples.blocked()))
    found = [item for stage in whole["stages"] for item in stage["findings"]]
    own = ("type", "task", "stage")
    assert [{key: value for key, value in row.items() if key not in own} for row in rows[:-1]] == found
    assert {row["type"] for row in rows[:-1]} == {"finding"}
    last = rows[-1]
    assert (last["verdict"], last["findings"], last["blocking"]) == ("BLOCK", 3, 2)
    assert last["by_severity"] == {"CRITICAL": 1, "HIGH": 1, "MEDIUM": 1, "LOW": 0, "INFO": 0}


def test_what_a_comment_silenced_has_a_line_of_its_own():
    rows = [json.loads(line) for line in json_lines.render(samples.passed()).splitlines()]
    silenced = [row for row in rows if row["type"] == "suppressed"]
    assert [row["reason"] for row in silenced] == ["optional, imported on request"]
    assert (rows[-1]["suppressed"], rows[-1]["verdict"]) == (1, "PASS")
