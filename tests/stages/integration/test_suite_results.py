"""The declared tests must be collected, run to the end and pass; anything else is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stages.integration.projects import at, gate, integrate, only
from verifier.api import GateStatus

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.api import StageOutcome


def suite(root: Path, text: str, **more: object) -> StageOutcome:
    return integrate(root, {"code.py": "x = 1\n", "tests/test_it.py": text}, tests=("tests",), **more)  # type: ignore[arg-type]


def test_passing_tests_are_counted_and_the_slowest_are_named(tmp_path: Path) -> None:
    outcome = suite(tmp_path, "import time\ndef test_slow(): time.sleep(0.05)\ndef test_fast(): pass\n")
    assert outcome.findings == ()
    assert gate(outcome, "tests").status is GateStatus.PASS
    facts = outcome.facts["tests"]
    assert (facts["collected"], facts["passed"], facts["failed"], facts["skipped"]) == (2, 2, 0, 0)
    assert facts["slowest"][0]["id"] == "tests/test_it.py::test_slow"


def test_a_failure_is_placed_at_the_deepest_line_of_the_project(tmp_path: Path) -> None:
    files = {"code.py": "def f(n):\n    return 1 / n\n", "tests/test_it.py": "import code_\n"}
    files = {"mine.py": files["code.py"], "tests/test_it.py": "import mine\ndef test_f():\n    assert mine.f(0)\n"}
    outcome = integrate(tmp_path, files, tests=("tests",))
    finding = only(outcome)
    assert at(finding) == ("RUN002", "mine.py", 2)
    assert "ZeroDivisionError" in finding.message
    assert gate(outcome, "tests").status is GateStatus.FAIL
    assert outcome.facts["tests"]["failures"] == [
        {"id": "tests/test_it.py::test_f", "message": "division by zero"},
    ]


def test_many_tests_that_fail_at_one_line_are_one_finding(tmp_path: Path) -> None:
    text = "import pytest\n@pytest.mark.parametrize('n', range(5))\ndef test_n(n):\n    assert n > 9\n"
    finding = only(suite(tmp_path, text))
    assert at(finding) == ("RUN002", "tests/test_it.py", 4)
    assert len(finding.related) == 4


def test_a_broken_fixture_is_an_error_of_each_test(tmp_path: Path) -> None:
    text = "import pytest\n@pytest.fixture\ndef broken():\n    raise OSError('x')\ndef test_a(broken): pass\n"
    outcome = suite(tmp_path, text)
    assert at(only(outcome)) == ("RUN002", "tests/test_it.py", 4)
    assert outcome.facts["tests"]["errors"] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "collected no test"),
        ("import pytest\n@pytest.mark.skip(reason='no gpu')\ndef test_a(): pass\n", "1 x no gpu"),
        (
            "import pytest\npytest.skip('no gpu here', allow_module_level=True)\n",
            "skipped itself as a whole: no gpu here",
        ),
        ("import pytest\n@pytest.mark.xfail\ndef test_a(): assert 0\n", "expected to fail (1)"),
        ("import pytest\npytest.exit('enough', returncode=0)\n", "cannot collect tests/test_it.py: Exit: enough"),
    ],
)
def test_a_suite_that_proves_nothing_fails(tmp_path: Path, text: str, says: str) -> None:
    outcome = suite(tmp_path, text)
    finding = only(outcome)
    assert finding.rule == "RUN003"
    assert says in finding.message
    assert gate(outcome, "tests").status is GateStatus.FAIL


def test_leaving_pytest_halfway_with_exit_code_0_is_no_pass(tmp_path: Path) -> None:
    text = "import pytest\ndef test_a(): pass\ndef test_b(): pytest.exit('enough', returncode=0)\ndef test_c(): pass\n"
    outcome = suite(tmp_path, text)
    assert only(outcome).rule == "RUN003"
    assert "of 3 collected tests ran" in only(outcome).message


def test_a_test_file_that_cannot_be_imported_is_placed_at_its_line(tmp_path: Path) -> None:
    finding = only(suite(tmp_path, "import os\nimport gone\ndef test_a(): pass\n"))
    assert at(finding) == ("RUN003", "tests/test_it.py", 2)
    assert "No module named 'gone'" in finding.message


def test_a_hanging_test_is_named_with_the_line_it_hangs_at(tmp_path: Path) -> None:
    text = "import threading\ndef test_ok(): pass\ndef test_hangs():\n    threading.Event().wait()\n"
    outcome = suite(tmp_path, text, time_limit_s=4.0)
    finding = only(outcome)
    assert at(finding) == ("RUN004", "tests/test_it.py", 4)
    assert finding.symbol == "tests/test_it.py::test_hangs"
    assert "1 passed" in gate(outcome, "tests").evidence


def test_os_exit_in_a_test_is_no_pass_and_names_the_test(tmp_path: Path) -> None:
    finding = only(suite(tmp_path, "import os\ndef test_a(): pass\ndef test_b():\n    os._exit(0)\n"))
    assert at(finding) == ("RUN005", "tests/test_it.py", 4)
    assert finding.symbol == "tests/test_it.py::test_b"


def test_a_crash_in_a_test_names_the_test_and_the_line(tmp_path: Path) -> None:
    finding = only(suite(tmp_path, "import os, signal\ndef test_b():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"))
    assert at(finding) == ("RUN006", "tests/test_it.py", 3)


def test_sys_exit_while_collecting_is_no_pass(tmp_path: Path) -> None:
    finding = only(suite(tmp_path, "import sys\nsys.exit(0)\n"))
    assert finding.rule == "RUN003"


def test_an_exit_function_that_ends_the_process_hides_nothing(tmp_path: Path) -> None:
    text = "import atexit, os\natexit.register(os._exit, 0)\ndef test_a(): pass\n"
    assert only(suite(tmp_path, text)).rule == "RUN005"


def test_printing_a_pass_is_no_pass(tmp_path: Path) -> None:
    text = """
        import os

        def test_a():
            os.write(1, b'{"k": "end"}\\n1 passed in 0.01s\\n')
            os._exit(0)
    """
    assert only(suite(tmp_path, text)).rule == "RUN005"


def test_wrong_project_options_are_said_with_what_pytest_printed(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n", encoding="utf-8")
    finding = only(suite(tmp_path, "def test_a(): pass\n"))
    assert finding.rule == "RUN003"
    assert "--no-such-option" in str(finding.evidence[0].data["output"])


def test_tests_that_options_leave_out_are_a_limitation(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -k fast\n", encoding="utf-8")
    outcome = suite(tmp_path, "def test_fast(): pass\ndef test_slow(): pass\n")
    assert outcome.findings == ()
    assert any("1 tests were left out" in said for said in outcome.facts["limitations"])


def test_skips_keep_their_reason(tmp_path: Path) -> None:
    text = "import pytest\ndef test_a(): pass\n@pytest.mark.skip(reason='needs CUDA')\ndef test_b(): pass\n"
    facts = suite(tmp_path, text).facts["tests"]
    assert facts["skips"] == [{"id": "tests/test_it.py::test_b", "reason": "needs CUDA"}]
