"""One pass over many files: same facts whatever the number of jobs, and no file hides another."""

from __future__ import annotations

import faulthandler
import os
import signal
from typing import TYPE_CHECKING

from stages.syntax import scan
from stages.syntax.scan import problem_finding, resolve_open, scan_all, scan_file, warning_findings
from tests.stages.syntax.names.sources import source_file
from verifier.api import Severity, SourceFile

if TYPE_CHECKING:
    import pytest


def silent(_line: str) -> None:
    return None


def many() -> list[SourceFile]:
    files = [source_file(f"import os\nx{i} = {i}\ndef f():\n    return y{i}\n", f"m{i}.py") for i in range(60)]
    return [*files, source_file("def f(:\n", "broken.py"), source_file(b"\xff", "binary.py")]


def test_the_number_of_jobs_changes_nothing() -> None:
    assert scan_all(many(), jobs=1, progress=silent) == scan_all(many(), jobs=2, progress=silent)


def test_results_come_in_the_order_of_paths() -> None:
    found = scan_all(many(), jobs=2, progress=silent)
    assert list(found) == sorted(found)


def test_a_file_that_kills_cpython_is_named_and_the_others_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def deadly(file: SourceFile) -> scan.FileScan:
        if file.path == "m7.py":
            faulthandler.disable()  # the child's traceback would only confuse
            os.kill(os.getpid(), signal.SIGSEGV)
        return scan_file(file)

    monkeypatch.setattr(scan, "scan_file", deadly)
    found = scan_all(many(), jobs=2, progress=silent)
    problem = found["m7.py"].problem
    assert problem is not None
    assert "SIGSEGV" in problem.message
    assert len(found) == len(many())
    assert all(found[f"m{i}.py"].findings for i in range(60) if i != 7)


def test_names_put_among_the_builtins_are_known_to_every_file() -> None:
    files = [source_file("import builtins\nbuiltins.trace = print\n", "a.py"), source_file("trace(1)\n", "b.py")]
    assert scan_all(files, jobs=1, progress=silent)["b.py"].findings == ()
    assert scan_file(files[1]).findings != ()


def test_a_problem_is_a_critical_finding_at_its_place() -> None:
    problem = scan_file(source_file("x = 1\nif x\n    pass\n")).problem
    assert problem is not None
    finding = problem_finding("mod.py", problem)
    assert (finding.rule, finding.severity, finding.location.line) == ("SYN001", Severity.CRITICAL, 2)


def test_the_same_warning_counts_once() -> None:
    found = warning_findings("mod.py", scan_file(source_file("a = '\\d'\nb = '\\d'\nassert (a, b)\n")).warnings)
    assert [(f.rule, f.severity.name, f.location.line, len(f.related)) for f in found] == [
        ("SYN002", "INFO", 1, 1),
        ("SYN002", "LOW", 3, 0),
    ]


def test_a_star_import_leaves_names_open() -> None:
    file = source_file("from helpers import *\nprint(given, missing)\n")
    result = scan_file(file)
    assert (result.findings, result.open_names) == ((), {"given", "missing"})
    assert [f.symbol for f in resolve_open(file, result, frozenset({"given"}))] == ["missing"]
    assert resolve_open(file, result, None) == ()


def test_deep_code_that_compiles_is_analysed() -> None:
    text = "x = 0\ny = " + " + ".join(["x"] * 2000) + " + undefined\n"
    assert [f.symbol for f in scan_file(source_file(text)).findings] == ["undefined"]
