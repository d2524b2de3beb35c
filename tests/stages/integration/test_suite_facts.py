"""Besides its verdict a run of the tests says what they reach, warn of and leave out, and which of them are flaky."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from amp_runtime.wire import Coverage, CoveredFile, Hello, TestDone, UnitResult, WarningSeen
from stages._probe.records import ProbeReport, UnitReport
from stages.integration.second_try import MOST, to_run_again
from stages.integration.suite_facts import added_up
from tests.stages.integration.projects import at, gate, integrate, only
from verifier.api import GateStatus, StageOutcome

FLAKY = """
    import pathlib, tempfile

    def test_sound():
        pass

    def test_by_chance():
        mark = pathlib.Path("/dev/shm/MARK")
        first = not mark.exists()
        mark.touch()
        assert not first
"""


def facts(outcome: StageOutcome) -> dict[str, Any]:
    found = outcome.facts["tests"]
    assert isinstance(found, dict)
    return found


def test_a_test_that_fails_and_then_passes_is_flaky_and_blocks(tmp_path: Path) -> None:
    mark = Path("/dev/shm") / f"verify-flaky-{tmp_path.name}-{tmp_path.stat().st_ino}"
    text = FLAKY.replace("/dev/shm/MARK", str(mark))
    try:
        outcome = integrate(tmp_path, {"a.py": "", "tests/test_it.py": text}, tests=("tests",))
    finally:
        mark.unlink()
    finding = only(outcome)
    assert at(finding) == ("RUN023", "tests/test_it.py", 10)
    assert "fails, and passes when it is run again" in finding.message
    assert gate(outcome, "tests").status is GateStatus.FAIL
    assert facts(outcome)["flaky"] == ["tests/test_it.py::test_by_chance"]
    assert facts(outcome)["passed"] == 1


def test_a_test_that_fails_twice_fails(tmp_path: Path) -> None:
    outcome = integrate(tmp_path, {"a.py": "", "tests/test_it.py": "def test_a(): assert 0\n"}, tests=("tests",))
    assert only(outcome).rule == "RUN002"
    assert facts(outcome)["flaky"] == []


def failing(count: int) -> ProbeReport:
    tests = [TestDone(id=f"t::{number}", outcome="failed", duration_s=0.0, path="t", line=1) for number in range(count)]
    result = UnitResult(unit="pytest", status="ok", phase="", duration_s=0.0)
    return ProbeReport(
        hello=Hello(python="3.11", preloaded={}, missing={}, layers={}, mechanisms={}),
        units={"pytest": UnitReport(result=result, items=tuple(tests))},
        ending="complete",
        code=0,
        output_tail="",
        peak_bytes=0,
        duration_s=0.0,
        layers={},
    )


def test_many_failures_or_no_time_are_no_reason_to_try_again() -> None:
    assert to_run_again([failing(3)], 100.0) == ("t::0", "t::1", "t::2")
    assert to_run_again([failing(3)], 1.0) == ()
    assert to_run_again([failing(MOST), failing(1)], 100.0) == ()


def test_parts_of_the_tests_are_added_up() -> None:
    warning = WarningSeen(category="UserWarning", message="m", path="a.py", line=1, count=2)
    parts = [
        *(warning, Coverage(files=(CoveredFile(path="a.py", lines=9, missed=(2, 3, 4)),))),
        *(warning, Coverage(files=(CoveredFile(path="a.py", lines=9, missed=(3, 4, 9)),))),
    ]
    together = Coverage(files=(CoveredFile(path="a.py", lines=9, missed=(3, 4)),))
    assert added_up(parts) == [replace(warning, count=4), together]
    assert added_up([*parts, Coverage(files=(), note="lost")])[-1] == Coverage(files=(), note="lost")


def test_the_lines_that_tests_reach_are_counted_by_file(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": "def used():\n    return 1\n\n\ndef unused():\n    x = 1\n    return x\n",
        "pkg/never.py": "x = 1\n",
        "tests/test_it.py": "from pkg.a import used\ndef test_a(): assert used()\n",
    }
    coverage = facts(integrate(tmp_path, files, tests=("tests",)))["coverage"]
    assert coverage["files"] == [
        {"path": "pkg/__init__.py", "lines": 0, "missed": 0, "missing": ""},
        {"path": "pkg/a.py", "lines": 5, "missed": 2, "missing": "6-7"},
        {"path": "pkg/never.py", "lines": 1, "missed": 1, "missing": "1"},
    ]
    assert (coverage["note"], coverage["lines"], coverage["missed"], coverage["share"]) == ("", 6, 3, 0.5)


def test_a_project_that_stops_the_measurement_is_said(tmp_path: Path) -> None:
    text = "import coverage\ndef test_a(): coverage.Coverage.analysis2 = None\n"
    files = {"a.py": "x = 1\n", "tests/test_it.py": text}
    outcome = integrate(tmp_path, files, tests=("tests",))
    assert outcome.findings == ()
    assert "TypeError" in facts(outcome)["coverage"]["note"]
    assert "which lines the tests reach was not measured" in str(outcome.facts["limitations"])


def test_warnings_are_kept_once_with_their_place_and_count(tmp_path: Path) -> None:
    text = """
        import warnings
        import pytest

        @pytest.mark.parametrize("n", range(3))
        def test_a(n):
            warnings.warn("old way", DeprecationWarning)
    """
    outcome = integrate(tmp_path, {"a.py": "", "tests/test_it.py": text}, tests=("tests",))
    (warning,) = facts(outcome)["warnings"]
    assert warning == {
        "category": "DeprecationWarning",
        "message": "old way",
        "path": "tests/test_it.py",
        "line": 6,
        "count": 3,
    }


def test_a_file_that_skips_all_it_has_is_said(tmp_path: Path) -> None:
    files = {
        "a.py": "",
        "tests/test_whole.py": "import pytest\npytest.skip('no GPU', allow_module_level=True)\n",
        "tests/test_each.py": "import pytest\npytestmark = pytest.mark.skip('later')\n"
        "def test_a(): pass\ndef test_b(): pass\n",
        "tests/test_it.py": "import pytest\ndef test_a(): pass\n@pytest.mark.skip('x')\ndef test_b(): pass\n",
    }
    said = integrate(tmp_path, files, tests=("tests",)).facts["limitations"]
    assert isinstance(said, list)
    assert "tests/test_each.py checked nothing here: it skipped all of its 2 tests: later" in said
    assert "tests/test_whole.py checked nothing here: it skipped itself as a whole: no GPU" in said
    assert not any("test_it.py" in str(sentence) for sentence in said)
