from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from reports import github
from tests import golden
from tests.builders import finding, location, reported, run_report, stage_result
from tests.reports import runner, samples
from tests.reports.parsed import shape
from verifier.api import Location, StageStatus

GOLDEN = Path(__file__).parent / "golden"
LEVELS = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO")


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_documents_are_the_accepted_ones(kind):
    report = getattr(samples, kind)()
    golden.check(GOLDEN / kind / "github.txt", github.render(report))
    golden.check(GOLDEN / kind / github.SUMMARY, github.extras(report)[github.SUMMARY])


def test_severity_decides_the_kind():
    found = (reported(finding(severity=level, message=level)) for level in LEVELS)
    assert runner.commands(github.render(run_report(stage_result(*found)))) == [
        *("error", "error", "warning", "warning", "notice"),
    ]


def test_what_blocks_is_an_error_whatever_its_severity():
    item = reported(finding(severity="LOW"), blocking=True)
    assert runner.commands(github.render(run_report(stage_result(item)))) == ["error"]


@pytest.mark.parametrize("count", [10, 11, 57])
def test_there_are_ten_of_a_kind_and_the_last_says_how_many_more(count):
    found = [reported(finding(at=f"a.py:{n + 1}", severity=level)) for level in LEVELS[1:] for n in range(count)]
    lines = github.render(run_report(stage_result(*found))).splitlines()[:-1]
    kinds = Counter(runner.commands("\n".join(lines)))
    assert kinds == {"error": 10, "warning": 10, "notice": 10}
    more = [line for line in lines if "not shown" in line]
    assert len(more) == (3 if count > 10 else 1)
    assert f"and {2 * count - 9} more" in next(line for line in lines if line.startswith("::warning title=not"))
    assert "[MEDIUM]" in next(line for line in lines if line.startswith("::warning"))  # the worst first


def test_a_stage_that_broke_off_comes_before_all_findings():
    broken = stage_result(number=3, name="integration", status=StageStatus.ERRORED, reason="killed: 9, twice")
    first = github.render(run_report(stage_result(reported()), broken)).splitlines()[0]
    assert first == "::error title=stage integration ERRORED::killed: 9, twice"


def test_data_and_properties_are_escaped():
    item = reported(finding(at="a,b:c%/x.py:3:7", message="50% off\r\n::error::x", remediation="a\nb"))
    line = github.render(run_report(stage_result(item))).splitlines()[0]
    assert "file=a%2Cb%3Ac%25/x.py,line=3,endLine=3,col=7,title=SCP001 undefined-name [CRITICAL]" in line
    assert line.endswith("::50%25 off ::error::x%0Aa b")


def test_a_place_of_several_lines_has_no_column():
    item = reported(finding(location=Location(path="a.py", line=3, column=7, end_line=5)))
    line = github.render(run_report(stage_result(item))).splitlines()[0]
    assert "line=3,endLine=5,title" in line
    assert location("a.py:3").end_line is None


def test_the_summary_links_to_no_file_beside_it():
    text = github.extras(samples.blocked())[github.SUMMARY]
    assert text.startswith("# BLOCK 42/100")
    assert shape(text).links == ()
