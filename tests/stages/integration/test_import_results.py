"""Every module is imported first in a fresh process, and each cause is one finding at the project's own line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stages.integration.projects import at, gate, integrate, only, write
from verifier.api import GateStatus, Severity, StageError

if TYPE_CHECKING:
    from pathlib import Path


def test_modules_that_load_pass_and_say_how_many(tmp_path: Path) -> None:
    outcome = integrate(tmp_path, {"pkg/__init__.py": "", "pkg/a.py": "from pkg import b\n", "pkg/b.py": "x = 1\n"})
    assert outcome.findings == ()
    assert gate(outcome, "imports").status is GateStatus.PASS
    assert "3 of 3 modules" in gate(outcome, "imports").evidence
    assert [entry["module"] for entry in outcome.facts["imports"]] == ["pkg", "pkg.a", "pkg.b"]
    assert outcome.checks_run == 3


def test_one_missing_module_is_one_finding_at_its_line_with_its_users_related(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "pkg/a.py": "from pkg import b\n", "pkg/b.py": "import os\nimport gone\n"}
    finding = only(integrate(tmp_path, files))
    assert at(finding) == ("RUN001", "pkg/b.py", 2)
    assert finding.severity is Severity.CRITICAL
    assert finding.symbol == "pkg.b"
    assert [related.location.path for related in finding.related] == ["pkg/a.py"]
    assert "No module named 'gone'" in finding.message
    assert "'gone'" in finding.remediation


def test_a_cycle_that_fails_from_every_entry_is_one_finding(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": "from pkg.b import use\ndef make(): ...\n",
        "pkg/b.py": "from pkg.a import make\ndef use(): ...\n",
        "pkg/user.py": "import pkg.b\n",
    }
    finding = only(integrate(tmp_path, files))
    assert finding.rule == "RUN001"
    assert {related.location.path for related in finding.related} | {f"{finding.symbol.replace('.', '/')}.py"} == {
        "pkg/a.py",
        "pkg/b.py",
        "pkg/user.py",
    }


def test_cycles_through_one_import_are_one_knot(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/low.py": "from pkg.top import top\nlow = 1\n",
        "pkg/mid.py": "from pkg.low import low\nmid = 1\n",
        "pkg/top.py": "from pkg.low import low\nfrom pkg.mid import mid\ntop = 1\n",
    }
    assert only(integrate(tmp_path, files)).rule == "RUN001"


def test_a_cycle_fails_only_from_the_module_that_cannot_come_first(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": "import pkg.b\ndef make(): ...\n",
        "pkg/b.py": "import os\nfrom pkg.a import make\n",
    }
    outcome = integrate(tmp_path, files)
    finding = only(outcome)
    assert at(finding) == ("RUN001", "pkg/b.py", 2)
    assert finding.symbol == "pkg.a"
    assert "circular import" in finding.message
    assert "The cycle: pkg/a.py:1 -> pkg/b.py:2." in finding.message
    assert "Break the import cycle" in finding.remediation
    statuses = {entry["module"]: entry["status"] for entry in outcome.facts["imports"]}
    assert statuses == {"pkg": "ok", "pkg.a": "raised", "pkg.b": "ok"}


def test_a_deleted_file_is_named(tmp_path: Path) -> None:
    finding = only(integrate(tmp_path, {"pkg/__init__.py": "", "pkg/a.py": "import pkg.deleted\n"}))
    assert at(finding) == ("RUN001", "pkg/a.py", 1)
    assert "pkg.deleted" in finding.message


def test_a_syntax_error_in_a_file_that_the_task_does_not_list_is_placed_there(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/__init__.py": "", "pkg/other.py": "x = 1\nif x\n"})
    finding = only(integrate(tmp_path, {"pkg/a.py": "import pkg.other\n"}))
    assert at(finding) == ("RUN001", "pkg/other.py", 2)


@pytest.mark.parametrize("line", ["import os; os._exit(0)", "import posix; posix._exit(0)"])
def test_os_exit_at_import_is_no_success(tmp_path: Path, line: str) -> None:
    outcome = integrate(tmp_path, {"a.py": line + "\n", "b.py": "x = 1\n"})
    finding = only(outcome)
    assert at(finding) == ("RUN005", "a.py", 1)
    assert "exit code 0" in finding.message
    assert gate(outcome, "imports").status is GateStatus.FAIL
    assert "1 of 2 modules" in gate(outcome, "imports").evidence


def test_os_exit_is_found_where_it_is_called_not_where_it_was_started(tmp_path: Path) -> None:
    files = {"a.py": "import b\n\nb.leave()\n", "b.py": "import os\n\n\ndef leave():\n    os._exit(0)\n"}
    assert at(only(integrate(tmp_path, files))) == ("RUN005", "b.py", 5)


def test_sys_exit_at_import_is_an_early_exit(tmp_path: Path) -> None:
    finding = only(integrate(tmp_path, {"a.py": "import sys\nsys.exit(0)\n"}))
    assert at(finding) == ("RUN005", "a.py", 2)
    assert "__main__" in finding.remediation


def test_a_segmentation_fault_names_the_line_and_loses_only_that_module(tmp_path: Path) -> None:
    files = {"a.py": "import ctypes\n\nctypes.string_at(0)\n", "b.py": "x = 1\n"}
    outcome = integrate(tmp_path, files)
    assert at(only(outcome)) == ("RUN006", "a.py", 3)
    assert "SIGSEGV" in only(outcome).message


def test_an_import_that_hangs_is_stopped_and_the_next_one_still_runs(tmp_path: Path) -> None:
    files = {"a.py": "import time\nwhile True:\n    time.sleep(0.01)\n", "b.py": "x = 1\n"}
    outcome = integrate(tmp_path, files, time_limit_s=6.0)
    finding = only(outcome)
    assert finding.rule == "RUN004"
    assert finding.location.path == "a.py"
    assert finding.location.line in (2, 3)
    assert [entry["status"] for entry in outcome.facts["imports"]] == ["timeout", "ok"]


def test_a_thread_that_never_ends_hangs_the_exit_and_is_said_so(tmp_path: Path) -> None:
    text = "import threading, time\n\n\ndef work():\n    time.sleep(600)\n\n\nthreading.Thread(target=work).start()\n"
    finding = only(integrate(tmp_path, {"a.py": text}, time_limit_s=3.0))
    assert finding.rule == "RUN004"
    assert finding.location.path == "a.py"
    assert "hung at its exit" in finding.message


def test_an_exception_whose_text_raises_is_reported_all_the_same(tmp_path: Path) -> None:
    text = """
        class Hostile(Exception):
            def __str__(self):
                raise RuntimeError("no")
            __repr__ = __str__

        raise Hostile
    """
    finding = only(integrate(tmp_path, {"a.py": text}))
    assert at(finding) == ("RUN001", "a.py", 6)
    assert "__str__ raised RuntimeError" in finding.message


def test_an_exception_whose_text_exits_is_an_early_exit(tmp_path: Path) -> None:
    text = """
        import os

        class Hostile(Exception):
            def __str__(self):
                os._exit(0)

        raise Hostile
    """
    assert at(only(integrate(tmp_path, {"a.py": text}))) == ("RUN005", "a.py", 5)


def test_a_module_that_is_not_this_file_is_shadowed(tmp_path: Path) -> None:
    finding = only(integrate(tmp_path, {"sys.py": "x = 1\n"}))
    assert at(finding) == ("RUN012", "sys.py", 1)


def test_a_name_that_only_the_harness_has_loaded_is_the_projects_own(tmp_path: Path) -> None:
    assert (
        integrate(tmp_path, {"selectors.py": "x = 1\n", "secrets.py": "import selectors; selectors.x\n"}).findings == ()
    )


def test_a_module_that_replaces_itself_is_not_shadowed(tmp_path: Path) -> None:
    text = "import sys, types\nsys.modules[__name__] = types.ModuleType('other')\n"
    assert integrate(tmp_path, {"pkg/__init__.py": "", "pkg/lazy.py": text}).findings == ()


def test_missing_torch_is_an_error_of_the_stage_and_says_what_to_install(tmp_path: Path) -> None:
    text = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    with pytest.raises(StageError, match="pip install torch"):
        integrate(tmp_path, {"a.py": text})


def test_the_users_tree_is_not_written(tmp_path: Path) -> None:
    integrate(tmp_path, {"pkg/__init__.py": "", "pkg/a.py": "import pkg\n"})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["__init__.py", "a.py", "pkg", "pytest.ini"]
