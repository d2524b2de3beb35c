"""What runs at the same time is judged as if it had run one after another."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from stages.integration import lanes
from stages.integration.lanes import beside, may_share
from tests.builders import stage_context
from tests.stages.integration.projects import WORKLOAD, at, gate, integrate, only
from verifier.api import GateStatus, RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TESTS = {f"tests/test_{name}.py": f"def test_{name}(): pass\ndef test_other(): pass\n" for name in "abc"}
FILES = {"work.py": WORKLOAD, **TESTS}


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two cores and no accelerator, wherever this runs."""
    monkeypatch.setattr(lanes, "_cores", lambda: 2)
    monkeypatch.setattr(lanes, "_ACCELERATORS", ())


def test_the_result_is_that_of_one_after_another(tmp_path: Path) -> None:
    alone = integrate(tmp_path / "alone", FILES, tests=("tests",), workloads=("work:toy",))
    shared = integrate(tmp_path / "shared", FILES, tests=("tests",), workloads=("work:toy",), jobs=2, test_processes=2)
    assert [(item.name, item.status) for item in shared.gates] == [(item.name, item.status) for item in alone.gates]
    assert shared.findings == alone.findings == ()
    assert shared.checks_run == alone.checks_run
    assert gate(shared, "tests").evidence.startswith("6 collected, 6 passed, 0 failed")
    assert shared.facts["tests"]["collected"] == 6
    assert shared.facts["limitations"] == alone.facts["limitations"]


def test_shares_meet_in_time(tmp_path: Path) -> None:
    """Each share waits for the other: they can only pass together."""
    meeting = """
        import pathlib, time
        def test_meets():
            folder = pathlib.Path(r"{folder}")
            (folder / "{mine}").touch()
            end = time.monotonic() + 20
            while not (folder / "{other}").exists():
                assert time.monotonic() < end
                time.sleep(0.05)
    """
    files = {
        f"tests/test_{mine}.py": meeting.format(folder=tmp_path, mine=mine, other=other)
        for mine, other in (("left", "right"), ("right", "left"))
    }
    outcome = integrate(tmp_path / "p", files, tests=("tests",), jobs=2, test_processes=2, sandbox="none")
    assert outcome.findings == ()
    assert gate(outcome, "tests").status is GateStatus.PASS


def test_a_failure_in_one_share_is_the_only_finding(tmp_path: Path) -> None:
    files = {**FILES, "tests/test_c.py": "def test_c():\n    assert 1 == 2\n"}
    finding = only(integrate(tmp_path, files, tests=("tests",), jobs=2, test_processes=2))
    assert at(finding) == ("RUN002", "tests/test_c.py", 2)


def test_a_share_that_ends_by_itself_is_no_success(tmp_path: Path) -> None:
    files = {**FILES, "tests/test_c.py": "import os\ndef test_c():\n    os._exit(0)\n"}
    outcome = integrate(tmp_path, files, tests=("tests",), jobs=2, test_processes=2)
    assert gate(outcome, "tests").status is GateStatus.FAIL
    assert only(outcome).rule == "RUN005"


def test_both_shares_that_end_by_themselves_are_told(tmp_path: Path) -> None:
    files = {f"tests/test_{name}.py": "import os\ndef test_c():\n    os._exit(0)\n" for name in "ab"}
    outcome = integrate(tmp_path, files, tests=("tests",), jobs=2, test_processes=2)
    assert [finding.rule for finding in outcome.findings] == ["RUN005", "RUN005"]


def test_a_file_that_no_share_can_collect_is_told_once(tmp_path: Path) -> None:
    files = {**FILES, "tests/test_c.py": "import gone\n"}
    finding = only(integrate(tmp_path, files, tests=("tests",), jobs=2, test_processes=2))
    assert at(finding) == ("RUN003", "tests/test_c.py", 1)


def test_more_shares_than_files_do_no_harm(tmp_path: Path) -> None:
    files = {"a.py": "", "tests/test_a.py": "def test_a(): pass\n"}
    outcome = integrate(tmp_path, files, tests=("tests",), jobs=2, test_processes=3)
    assert outcome.findings == ()
    assert gate(outcome, "tests").evidence.startswith("1 collected, 1 passed")


def test_no_test_in_any_share_is_still_none(tmp_path: Path) -> None:
    outcome = integrate(tmp_path, {"a.py": "", "tests/test_a.py": ""}, tests=("tests",), jobs=2, test_processes=2)
    assert only(outcome).rule == "RUN003"


def test_what_needs_more_than_its_part_of_the_memory_gets_all_of_it(tmp_path: Path) -> None:
    test = "import time\ndef test_large():\n    kept = bytearray(600 << 20)\n    time.sleep(0.5)\n"
    files = {"a.py": "", "tests/test_a.py": test}
    outcome = integrate(tmp_path, files, tests=("tests",), jobs=2, memory_limit_gib=1.0)
    assert outcome.findings == ()
    assert gate(outcome, "tests").status is GateStatus.PASS


def test_what_needs_more_than_all_of_the_memory_is_found(tmp_path: Path) -> None:
    test = "import time\ndef test_large():\n    kept = bytearray(1200 << 20)\n    time.sleep(0.5)\n"
    files = {"a.py": "", "tests/test_a.py": test}
    outcome = integrate(tmp_path, files, tests=("tests",), jobs=2, memory_limit_gib=1.0)
    assert gate(outcome, "tests").status is GateStatus.FAIL


def test_an_accelerator_one_core_or_one_job_is_for_one_thing_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t").mkdir()

    def may(jobs: int = 2) -> bool:
        return may_share(stage_context(tmp_path, [], options=RunOptions(jobs=jobs), tests=("t",), workloads=("a:b",)))

    assert may()
    assert not may(jobs=1)
    with monkeypatch.context() as patch:
        patch.setattr(lanes, "_cores", lambda: 1)
        assert not may()
    monkeypatch.setattr(lanes, "_ACCELERATORS", (str(tmp_path),))
    assert not may()


def test_work_in_threads_is_asked_to_end_where_the_rest_fails() -> None:
    ended = threading.Event()

    def work(halted: Callable[[], bool]) -> None:
        while not halted():
            time.sleep(0.01)
        ended.set()

    with pytest.raises(KeyboardInterrupt), beside([work]):
        raise KeyboardInterrupt
    assert ended.is_set()


def test_ctrl_c_ends_tests_that_would_go_on_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {**FILES, "tests/test_c.py": "import time\ndef test_c():\n    time.sleep(25)\n"}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stages.integration.execution.judge_imports", interrupted)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        integrate(tmp_path, files, tests=("tests",), jobs=2)
    assert time.monotonic() - begin < 20
